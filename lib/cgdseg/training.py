"""The training loop: any system, one process or many (torchrun), CPU or CUDA, killed and resumed at any time.

train(cfg, run) reads the splits and the pixel cache and writes data/runs/<run id>/:
best.safetensors, history.jsonl, run.json and, until finished, checkpoints/."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, broadcast, broadcast_object_list, gather_object
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from cgdseg import live, paths
from cgdseg.config import Config, Run, System, Training, digest
from cgdseg.data.cache import open_cache
from cgdseg.data.dataset import EyeDataset
from cgdseg.data.entries import EpochSampler, training_set
from cgdseg.data.manifest import load_manifest
from cgdseg.data.splits import part_ids
from cgdseg.files import sha256, write_atomic
from cgdseg.imports import code_digest
from cgdseg.losses import dice_bce, dice_bce_of_sums, pixel_sums
from cgdseg.memory import keep_freed_memory
from cgdseg.metrics import count_pixels, pooled_scores, scores
from cgdseg.progress import (
    Learner,
    Progress,
    is_finished,
    put_aside,
    read_history,
    read_run,
    resume,
    save,
    sole_trainer,
)
from cgdseg.systems import build_system, offline_settings

SCLERA = 1  # class label in the cache


def run_dir(cfg: Config, run: Run) -> Path:
    return paths.run_dir(cfg.run_id(run))


def fingerprint(cfg: Config, run: Run, parts: dict[str, list[str]]) -> str:
    """Hash of all that the trained weights depend on: recipe, code (comments ignored), files and split."""
    hashes = load_manifest(cfg).set_index("image_id")[["image_sha256", "mask_sha256"]]
    entries = {part: [[i, *hashes.loc[i]] for i in ids] for part, ids in parts.items()}
    return digest({"run": cfg.run_id(run), "code": code_digest(["cgdseg.training"]), "entries": entries})


def optimizer_for(model: nn.Module, settings: Training) -> torch.optim.AdamW:
    """AdamW with the slides' two groups: adapters at lora_lr, everything else trainable at lr."""
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    groups = [
        {"params": [p for name, p in trainable.items() if "lora_" not in name], "lr": settings.lr},
        {"params": [p for name, p in trainable.items() if "lora_" in name], "lr": settings.lora_lr},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], weight_decay=settings.weight_decay, fused=True)


def averaged_model(model: nn.Module, settings: Training) -> AveragedModel | None:
    """Exponential moving average of weights and buffers, or None where `settings.ema` is 0."""
    if not settings.ema:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(settings.ema), use_buffers=True)


def to_model(batch: dict[str, Tensor], n_classes: int) -> tuple[Tensor, Tensor]:
    """uint8 images and labels -> float images (B, 3, H, W) in [0, 1] and masks (B, K, H, W), sclera first."""
    labels = torch.arange(1, n_classes + 1, device=batch["labels"].device)[:, None, None]
    images = (batch["images"].float() / 255).contiguous(memory_format=torch.channels_last)
    return images, (batch["labels"].unsqueeze(1) == labels).float()


@dataclass(frozen=True)
class Session:
    """A learner on its devices: what Accelerate wraps around its model and its optimizer."""

    settings: Training
    n_classes: int
    accelerator: Accelerator
    learner: Learner
    model: nn.Module
    optimizer: torch.optim.Optimizer

    def over_processes(self, sums: Tensor) -> Tensor:
        """Sums over all processes; their gradient is scaled so that DDP's mean is the gradient of the global loss."""
        n = self.accelerator.num_processes
        if n == 1:
            return sums
        return n * (sums - sums.detach()) + self.accelerator.reduce(sums.detach(), "sum")


def start_accelerator(settings: Training) -> Accelerator:
    """Join the processes that torchrun started, if it did; `batch_size` is that of all of them together."""
    several = int(os.environ.get("WORLD_SIZE", 1)) > 1
    accelerator = Accelerator(
        cpu=several and not torch.cuda.is_available(),  # else each process would train by itself
        mixed_precision=settings.precision,
        gradient_accumulation_steps=settings.accumulate,
        dynamo_backend="inductor" if settings.compile else "no",
        dataloader_config=DataLoaderConfiguration(split_batches=True),
    )
    if settings.precision == "fp16" and accelerator.device.type == "cpu":  # where Accelerate takes float32 unasked
        raise ValueError("training.precision: fp16 needs CUDA; on a CPU use bf16 or no")
    return accelerator


def new_learner(accelerator: Accelerator, system: System, settings: Training, seed: int) -> Learner:
    """An untrained model of these settings, the same in every process, with its optimizer and schedule."""
    torch.manual_seed(seed)
    with accelerator.main_process_first():  # which makes or downloads what others then find
        model = build_system(system).to(memory_format=torch.channels_last)  # faster, most of all in half precision
    if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
        # batch statistics of the global batch; torch has this for CUDA only, so that on CPUs (gloo) each process
        # normalises its own share of the batch, and trains a little differently from a single process
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    optimizer = optimizer_for(model, settings)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs, settings.min_lr)
    return Learner(model, averaged_model(model, settings), optimizer, scheduler)


def open_session(accelerator: Accelerator, learner: Learner, system: System, settings: Training) -> Session:
    """Put a learner, resumed or new, where it learns."""
    model, optimizer = accelerator.prepare(learner.model, learner.optimizer)
    learner.kept.to(accelerator.device)
    return Session(settings, len(system.classes), accelerator, learner, model, optimizer)


def make_loader(accelerator, dataset: Dataset, settings: Training, seed: int | None = None) -> DataLoader:
    """Batches shared out to the processes; to train on, where a seed is given, and then only whole ones."""
    training, n_processes = seed is not None, accelerator.num_processes
    batch_size = min(settings.batch_size, len(dataset)) if training else settings.batch_size
    if batch_size % n_processes:
        raise ValueError(
            f"{n_processes} processes cannot share a batch of {batch_size} images equally: choose a "
            f"training.batch_size that is a multiple of {n_processes}"
            + (f" and at most the {len(dataset)} training images" if training else "")
        )
    loader = DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=EpochSampler(len(dataset), seed) if training else None,
        num_workers=settings.n_workers,
        persistent_workers=settings.n_workers > 0,
        drop_last=training,  # 10,000 / 32 -> the slides' 312 batches
        pin_memory=torch.cuda.is_available(),
    )
    return accelerator.prepare(loader)


def train(cfg: Config, run: Run, stop_after: int | None = None) -> pd.DataFrame:
    """Train one run to its end and return its history, one row an epoch.

    Finished and unchanged: nothing is trained. Interrupted: resumes at the last whole checkpoint, with the same
    result as an uninterrupted run on a CPU with the same thread count. Anything it depends on changed: starts anew, and
    the old run is kept beside it as <run id>.previous. `stop_after` ends early, as a kill would, for tests.
    Raises Busy, which names the owner, while another process trains the same run."""
    torch.set_num_threads(cfg.training.n_threads)
    keep_freed_memory()
    settings, system, folder = cfg.training, cfg.systems[run.system], run_dir(cfg, run)
    cache = open_cache(cfg, system.input_size)
    parts = {part: part_ids(cfg, run.condition, part) for part in ("train", "val")}
    mark = fingerprint(cfg, run, parts)
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
                    save(folder, mark, learner, progress, is_best)
                if progress.epoch == stop_after:
                    return pd.DataFrame(progress.history)
        if accelerator.is_main_process:
            finish(folder, mark, cfg, run, offline)
        accelerator.wait_for_everyone()
        return pd.DataFrame(progress.history)


def _bar(session: Session, n_batches: int, progress: Progress) -> live.Bar:
    """Progress over all epochs, validation included in the time left."""
    hidden = {} if session.accelerator.is_main_process else {"disable": True}  # TQDM_DISABLE silences the rest
    total, done = session.settings.epochs * n_batches, progress.epoch * n_batches
    return live.bar(total=total, initial=done, unit="batch", smoothing=0, leave=False, **hidden)


def _epoch(session: Session, loader: DataLoader, val_loader: DataLoader, epoch: int, bar: live.Bar) -> dict[str, float]:
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


def _train_epoch(session: Session, loader: DataLoader, title: str, bar: live.Bar) -> dict[str, float]:
    session.model.train()
    losses = []
    for step, batch in enumerate(loader):
        losses.append(train_step(session, batch, f"{title}, step {step}"))
        bar.update()
    return {"train_loss": torch.stack(losses).mean().item()}


def train_step(session: Session, batch: dict[str, Tensor], title: str) -> Tensor:
    """Learn from one batch; its loss is that of the global batch, in every process.

    Raises FloatingPointError when the loss is not finite. Gradients that overflow in fp16 only skip a step."""
    accelerator, settings, learner = session.accelerator, session.settings, session.learner
    images, masks = to_model(batch, session.n_classes)
    with accelerator.accumulate(session.model):
        with accelerator.autocast():
            logits = session.model(images)
        loss = dice_bce(logits, masks, settings.bce_weight, settings.dice_weight, session.over_processes)
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss.item()} in {title}: lower training.lr or use precision: no; "
                "the last good checkpoint is kept"
            )
        accelerator.backward(loss)
        if accelerator.sync_gradients:
            accelerator.clip_grad_norm_((p for p in learner.model.parameters() if p.requires_grad), settings.clip_norm)
        session.optimizer.step()
        session.optimizer.zero_grad()
    if learner.averaged and accelerator.sync_gradients:
        learner.averaged.update_parameters(learner.model)
    return loss.detach()


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
        "commit": paths.commit(),
        "system": offline.model_dump(mode="json"),
        "threshold": cfg.evaluation.threshold,
        "weights_sha256": sha256(folder / "best.safetensors"),
    }
    write_atomic(folder / "run.json", json.dumps(card, indent=2))
    for path in (folder / "checkpoints").glob("*"):
        path.unlink()


def write_run_card(cfg: Config, run: Run, history: pd.DataFrame) -> Path:
    """Say in one small file which weights a run of this config has; later notebooks find them through it."""
    best = history.loc[history.val_f1.idxmax()]
    card = {key: value for key, value in read_run(run_dir(cfg, run)).items() if key in ("run_id", "weights_sha256")}
    card |= {"best_epoch": int(best.epoch), "val_f1": float(best.val_f1)}
    path = paths.run_card(cfg.name, run.name)
    write_atomic(path, json.dumps(card, indent=2) + "\n")
    return path


def describe(history: pd.DataFrame) -> str:
    """Two sentences on a training: where it stands and whether more epochs might help."""
    best, last = history.loc[history.val_f1.idxmax()], history.iloc[-1]
    text = f"The best epoch is {best.epoch:.0f} of {len(history)}, with a validation F1 of {best.val_f1:.4f}. "
    if len(history) < 4:
        return text + "So few epochs only prove that the code runs."
    gain = last.val_f1 - history.val_f1.iloc[-max(2, len(history) // 4) - 1]
    trend = "rose" if gain > 0.003 else "fell" if gain < -0.003 else "stayed where it was"
    return text + f"Over the last quarter of the epochs F1 {trend} ({gain:+.4f})."
