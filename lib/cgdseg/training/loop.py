"""The training loop: any system, one process or many (torchrun), CPU or CUDA, killed and resumed at any time.

train(cfg, run) reads the splits and the pixel cache and writes data/runs/<run id>/:
best.safetensors, history.jsonl, run.json and, until finished, checkpoints/."""

import json
import time
from pathlib import Path

import pandas as pd
import torch
from accelerate.utils import broadcast, broadcast_object_list, gather_object
from torch import nn
from torch.utils.data import DataLoader

from cgdseg import loops
from cgdseg.config.schema import Config, Run, Training
from cgdseg.data.batches import EyeDataset, training_set
from cgdseg.data.cache import open_cache
from cgdseg.data.manifest import load_manifest
from cgdseg.data.splits import part_ids
from cgdseg.files import write_atomic
from cgdseg.hashes import code_digest, commit, digest, sha256
from cgdseg.models.memory import keep_freed_memory
from cgdseg.models.registry import offline_settings
from cgdseg.scoring.metrics import count_pixels, pooled_scores, scores
from cgdseg.training.losses import dice_bce_of_sums, pixel_sums
from cgdseg.training.resume import Progress, is_finished, put_aside, resume, save_progress, sole_trainer
from cgdseg.training.runs import read_history, run_folder
from cgdseg.training.session import (
    Session,
    make_loader,
    new_learner,
    open_session,
    start_accelerator,
    to_model,
    train_step,
)


def training_fingerprint(cfg: Config, run: Run, parts: dict[str, list[str]]) -> str:
    """Hash of all that the trained weights depend on: recipe, code (comments ignored), files and split."""
    hashes = load_manifest(cfg).set_index("image_id")[["image_sha256", "mask_sha256"]]
    entries = {part: [[i, *hashes.loc[i]] for i in ids] for part, ids in parts.items()}
    return digest({"run": cfg.run_id(run), "code": code_digest(["cgdseg.training.loop"]), "entries": entries})


def train(cfg: Config, run: Run, stop_after: int | None = None) -> pd.DataFrame:
    """Train one run to its end and return its history, one row an epoch.

    Finished and unchanged: nothing is trained. Interrupted: resumes at the last whole checkpoint, with the same
    result as an uninterrupted run on a CPU with the same thread count. Anything it depends on changed: starts anew, and
    the old run is kept beside it as <run id>.previous. `stop_after` ends early, as a kill would, for tests.
    Raises Busy, which names the owner, while another process trains the same run."""
    torch.set_num_threads(cfg.training.n_threads)
    keep_freed_memory()
    settings, system, folder = cfg.training, cfg.systems[run.system], run_folder(cfg, run)
    cache = open_cache(cfg, system.input_size)
    parts = {part: part_ids(cfg, run.condition, part) for part in ("train", "val")}
    mark = training_fingerprint(cfg, run, parts)
    with sole_trainer(folder):
        if is_finished(folder, mark):
            return read_history(folder)

        accelerator = start_accelerator(settings)
        dataset = training_set(cfg, run, cache, parts["train"])
        loader = make_loader(accelerator, dataset, settings, run.seed)
        val_loader = make_loader(accelerator, EyeDataset(cache, parts["val"], None), settings)
        learner = new_learner(accelerator, system, settings, run.seed)
        offline = offline_settings(system, learner.model)
        if accelerator.is_main_process:
            put_aside(folder, mark)
        accelerator.wait_for_everyone()
        progress = resume(folder, learner)
        if len(set(gather_object([progress.epoch]))) > 1:
            raise ValueError(
                f"the processes found different checkpoints in {folder}: put data/ on a disk that all share"
            )
        session = open_session(accelerator, learner, system, settings)
        if accelerator.scaler and progress.scaler:
            accelerator.scaler.load_state_dict(progress.scaler)

        with _bar(session, len(loader), progress) as bar:
            while not progress.is_over(settings):
                dataset.set_epoch(progress.epoch + 1)
                is_best = progress.add(_epoch(session, loader, val_loader, progress.epoch + 1, bar))
                progress.scaler = accelerator.scaler.state_dict() if accelerator.scaler else None
                if accelerator.is_main_process:
                    save_progress(folder, mark, learner, progress, is_best)
                if progress.epoch == stop_after:
                    return pd.DataFrame(progress.history)
        if accelerator.is_main_process:
            finish(folder, mark, cfg, run, offline)
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
    row |= validate(session.accelerator, kept, val_loader, settings, session.n_classes)
    row |= {"lr": learner.scheduler.get_last_lr()[0], "seconds": time.perf_counter() - start}
    return broadcast_object_list([row])[0]  # to the last bit: all must agree on when to stop


def _train_epoch(session: Session, loader: DataLoader, title: str, bar: loops.Bar) -> dict[str, float]:
    session.model.train()
    losses = []
    for step, batch in enumerate(loader):
        losses.append(train_step(session, batch, f"{title}, step {step}"))
        bar.update()
    return {"train_loss": torch.stack(losses).mean().item()}


@torch.no_grad()
def validate(accelerator, model: nn.Module, loader: DataLoader, settings: Training, n_classes: int) -> dict[str, float]:
    """Loss over all classes; for the sclera means over images of F1, IoU and MAE, and pooled F1, at the input size.

    Every image counts once, and the loss takes them all for one batch: neither depends on how they are shared out."""
    model.eval()
    sums, counts = [], []
    for batch in loader:
        images, masks = to_model(batch, n_classes)
        with accelerator.autocast():
            logits = model(images)
        logits, masks = accelerator.gather_for_metrics((logits.float(), masks))  # without what filled the last batch
        sums.append(pixel_sums(logits, masks).cpu())
        sclera = logits[:, 0].sigmoid().cpu().numpy(), masks[:, 0].bool().cpu().numpy()
        counts.append(count_pixels(*sclera))
    counts = pd.concat(counts, ignore_index=True)
    means = scores(counts)[["f1", "iou", "mae"]].mean()
    pooled = pooled_scores(counts)["f1"]
    loss = dice_bce_of_sums(torch.cat(sums).double(), settings.bce_weight, settings.dice_weight).item()
    return {"val_loss": loss, **means.add_prefix("val_").to_dict(), "val_f1_pooled": float(pooled)}


def finish(folder: Path, mark: str, cfg: Config, run: Run, offline) -> None:
    """Mark a run as finished: run.json says how it was made and how to rebuild its system."""
    card = {
        "run": run.model_dump(),
        "run_id": cfg.run_id(run),
        "config": cfg.name,
        "fingerprint": mark,
        "commit": commit(),
        "system": offline.model_dump(mode="json"),
        "threshold": cfg.evaluation.threshold,
        "weights_sha256": sha256(folder / "best.safetensors"),
    }
    write_atomic(folder / "run.json", json.dumps(card, indent=2))
    for path in (folder / "checkpoints").glob("*"):
        path.unlink()
