"""The training loop: any objective, one process or many (torchrun), CPU or CUDA, killed and resumed at any time.

train(cfg, run) reads the splits and the pixel cache and writes data/runs/<run id>/:
best.safetensors, history.jsonl, run.json and, until finished, checkpoints/."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from accelerate.utils import broadcast, broadcast_object_list, gather_object
from torch.utils.data import DataLoader, Dataset

from cgdseg import loops, paths
from cgdseg.config import Config, Run, Training
from cgdseg.data.batches import EyeDataset, training_set
from cgdseg.data.cache import open_cache
from cgdseg.data.stored import load_manifest, part_ids
from cgdseg.files import write_atomic
from cgdseg.hashes import code_digest, commit, digest, sha256
from cgdseg.models.memory import keep_freed_memory
from cgdseg.training.objectives import Objective, Segmentation
from cgdseg.training.resume import Progress, is_finished, put_aside, read_history, resume, save_progress, sole_trainer
from cgdseg.training.session import (
    Session,
    make_loader,
    new_learner,
    open_session,
    start_accelerator,
    train_step,
    validate,
)


def training_fingerprint(cfg: Config, run: Run, parts: dict[str, list[str]]) -> str:
    """Hash of all that the trained weights depend on: recipe, code (comments ignored), files and split."""
    hashes = load_manifest(cfg).set_index("image_id")[["image_sha256", "mask_sha256"]]
    code = code_digest(["cgdseg.training.loop", *cfg.systems[run.system].modules()])
    entries = {part: [[i, *hashes.loc[i]] for i in ids] for part, ids in parts.items()}
    return digest({"run": cfg.run_id(run), "code": code, "entries": entries})


def train(cfg: Config, run: Run, stop_after: int | None = None) -> pd.DataFrame:
    """Train one run to its end and return its history, one row an epoch (`learn`).

    Interrupted: resumes, with the same result as an uninterrupted run on a CPU with the same thread count. Anything it
    depends on changed: starts anew, and the old run is kept beside it as <run id>.previous. `stop_after` ends early, as
    a kill would, for tests."""
    system = cfg.systems[run.system]
    cache = open_cache(cfg, system.input_size)
    parts = {part: part_ids(cfg, run.condition, part) for part in ("train", "val")}
    named = {"run": run.model_dump(), "run_id": cfg.run_id(run)}
    task = Task(
        objective=Segmentation(system, cfg.training),
        settings=cfg.training,
        seed=run.seed,
        training_set=training_set(cfg, run, cache, parts["train"]),
        validation_set=EyeDataset(cache, parts["val"], None),
        folder=paths.run_dir(named["run_id"]),
        fingerprint=training_fingerprint(cfg, run, parts),
        card=named | {"config": cfg.name, "threshold": cfg.evaluation.threshold},
    )
    return learn(task, stop_after)


@dataclass(frozen=True)
class Task:
    """All that `learn` needs: what is learned from which entries, and what is written where."""

    objective: Objective
    settings: Training
    seed: int
    training_set: Dataset  # with set_epoch
    validation_set: Dataset  # without set_epoch, which Accelerate would call by a count of its own
    folder: Path
    fingerprint: str  # of all that the trained weights depend on
    card: dict  # what run.json says beside it

    def __post_init__(self) -> None:
        if "run_id" not in self.card:
            raise ValueError("the card of a task must hold its run_id: a finished run is known by it")


def learn(task: Task, stop_after: int | None = None) -> pd.DataFrame:
    """Train any objective to its end: best.safetensors, history.jsonl and run.json in its folder, and the history.

    Finished and unchanged: nothing is trained. Interrupted: resumes at the last whole checkpoint.
    Raises Busy, which names the owner, while another process trains in the same folder."""
    torch.set_num_threads(task.settings.n_threads)
    keep_freed_memory()
    with sole_trainer(task.folder):
        if is_finished(task.folder, task.fingerprint):
            return read_history(task.folder)
        accelerator = start_accelerator(task.settings)
        loader = make_loader(accelerator, task.training_set, task.settings, task.seed)
        val_loader = make_loader(accelerator, task.validation_set, task.settings)
        learner = new_learner(accelerator, task.objective, task.settings, task.seed)
        offline = task.objective.offline(learner.model)
        if accelerator.is_main_process:
            put_aside(task.folder, task.fingerprint)
        accelerator.wait_for_everyone()
        progress = resume(task.folder, learner, task.objective.best_by)
        if len(set(gather_object([progress.epoch]))) > 1:
            raise ValueError(
                f"the processes found different checkpoints in {task.folder}: put data/ on a disk that all share"
            )
        session = open_session(accelerator, learner, task.objective, task.settings)
        if accelerator.scaler and progress.scaler:
            accelerator.scaler.load_state_dict(progress.scaler)
        with _bar(session, len(loader), progress) as bar:
            while not progress.is_over(task.settings):
                task.training_set.set_epoch(progress.epoch + 1)
                is_best = progress.add(_epoch(session, loader, val_loader, progress.epoch + 1, bar))
                progress.scaler = accelerator.scaler.state_dict() if accelerator.scaler else None
                if accelerator.is_main_process:
                    save_progress(task.folder, task.fingerprint, learner, progress, is_best)
                if progress.epoch == stop_after:
                    return pd.DataFrame(progress.history)
        if accelerator.is_main_process:
            finish(task, offline)
        accelerator.wait_for_everyone()
        return pd.DataFrame(progress.history)


def _bar(session: Session, n_batches: int, progress: Progress) -> loops.Bar:
    """Progress over all epochs, validation included in the time left."""
    hidden = {} if session.accelerator.is_main_process else {"disable": True}  # TQDM_DISABLE silences the rest
    total, done = session.settings.epochs * n_batches, progress.epoch * n_batches
    return loops.bar(total=total, initial=done, unit="batch", smoothing=0, leave=False, **hidden)


def _epoch(
    session: Session, loader: DataLoader, val_loader: DataLoader, epoch: int, bar: loops.Bar
) -> dict[str, float]:
    """Train and validate once: a row of the history, the same in every process."""
    start, settings, learner = time.perf_counter(), session.settings, session.learner
    loader.set_epoch(epoch)  # Accelerate hands it on to the sampler, and would count for itself otherwise
    bar.set_description(f"epoch {epoch} of {settings.epochs}")
    row = {"epoch": epoch} | _train_epoch(session, loader, f"epoch {epoch} of {settings.epochs}", bar)
    learner.scheduler.step()
    if session.accelerator.num_processes > 1:
        broadcast(list(learner.kept.buffers()))  # running statistics differ where each process normalises its share
    kept = learner.kept if settings.ema else session.model
    row |= validate(session, kept, val_loader)
    row |= {"lr": learner.scheduler.get_last_lr()[0], "seconds": time.perf_counter() - start}
    return broadcast_object_list([row])[0]  # to the last bit: all must agree on when to stop


def _train_epoch(session: Session, loader: DataLoader, title: str, bar: loops.Bar) -> dict[str, float]:
    session.model.train()
    losses, steps = [], 0
    for step, batch in enumerate(loader):
        losses.append(train_step(session, batch, f"{title}, step {step}"))
        steps += session.accelerator.sync_gradients
        bar.update()
    images = len(losses) * loader.total_batch_size
    return {"train_loss": torch.stack(losses).mean().item(), "steps": steps, "images": images}


def finish(task: Task, offline: dict) -> None:
    """Mark a run as finished: run.json says how it was made and, in `offline`, how to rebuild its system."""
    card = task.card | offline | {"fingerprint": task.fingerprint, "commit": commit()}
    card |= {"weights_sha256": sha256(task.folder / "best.safetensors")}
    write_atomic(task.folder / "run.json", json.dumps(card, indent=2))
    for path in (task.folder / "checkpoints").glob("*"):
        path.unlink()
