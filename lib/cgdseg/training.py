"""The training loop: any system, one process or many (torchrun), CPU or CUDA, killed and resumed at any time.

train(cfg, run) reads the splits and the pixel cache and writes data/runs/<run id>/:
best.safetensors, history.jsonl, run.json and, until finished, checkpoints/."""

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Sampler
from tqdm import tqdm

from cgdseg import paths
from cgdseg.config import Config, Run, Training, digest
from cgdseg.data.augment import slides_augmentation
from cgdseg.data.cache import open_cache
from cgdseg.data.dataset import EyeDataset
from cgdseg.data.manifest import load_manifest
from cgdseg.data.splits import part_ids
from cgdseg.data.stream import RenderedEyes
from cgdseg.files import sha256, write_atomic
from cgdseg.imports import code_digest
from cgdseg.losses import dice_bce
from cgdseg.memory import keep_freed_memory
from cgdseg.metrics import count_pixels, pooled_scores, scores
from cgdseg.progress import HISTORY, Learner, put_aside, read_history, resume, save
from cgdseg.systems import build_system, offline_settings

SCLERA = 1  # class label in the cache


class EpochSampler(Sampler[int]):
    """A permutation that depends on (seed, epoch) alone, so that a resumed epoch draws the same batches."""

    def __init__(self, n: int, seed: int):
        self.n, self.seed, self.epoch = n, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n

    def __iter__(self):
        return iter(np.random.default_rng([self.seed, self.epoch]).permutation(self.n).tolist())


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


def is_finished(folder: Path, mark: str) -> bool:
    """Whether a folder holds a finished run of this fingerprint with all its files unaltered."""
    card, weights = read_run(folder), folder / "best.safetensors"
    if card is None or card["fingerprint"] != mark or not (folder / HISTORY).exists():
        return False
    return weights.exists() and sha256(weights) == card["weights_sha256"]


def train(cfg: Config, run: Run, stop_after: int | None = None) -> pd.DataFrame:
    """Train one run to its end and return its history, one row an epoch.

    Finished and unchanged: nothing is trained. Interrupted: resumes at the last whole checkpoint, with the same
    result as an uninterrupted run on a CPU with the same thread count. Anything it depends on changed: starts anew, and
    the old run is kept beside it as <run id>.previous. `stop_after` ends early, as a kill would, for tests."""
    torch.set_num_threads(cfg.training.n_threads)
    keep_freed_memory()
    settings, folder = cfg.training, run_dir(cfg, run)
    cache = open_cache(cfg, cfg.systems[run.system].input_size)
    parts = {part: part_ids(cfg, run.condition, part) for part in ("train", "val")}
    mark = fingerprint(cfg, run, parts)
    if is_finished(folder, mark):
        return read_history(folder)

    accelerator = Accelerator(
        mixed_precision=settings.precision,
        gradient_accumulation_steps=settings.accumulate,
        dynamo_backend="inductor" if settings.compile else "no",
    )
    torch.manual_seed(run.seed)
    model = build_system(cfg.systems[run.system]).to(memory_format=torch.channels_last)  # 1.5 times faster on a CPU
    offline = offline_settings(cfg.systems[run.system], model)
    optimizer = optimizer_for(model, settings)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs, settings.min_lr)
    learner = Learner(model, averaged_model(model, settings), optimizer, scheduler)
    if accelerator.is_main_process:
        put_aside(folder, mark)
    accelerator.wait_for_everyone()
    progress = resume(folder, learner)

    n_classes = len(cfg.systems[run.system].classes)
    augment = None if settings.augment == "none" else slides_augmentation(run.seed, settings.augment == "upright")
    dataset = RenderedEyes(cfg, run) if cfg.streamed(run) else EyeDataset(cache, parts["train"], augment)
    sampler = EpochSampler(len(dataset), run.seed)
    loader = _loader(dataset, settings, sampler)
    val_loader = _loader(EyeDataset(cache, parts["val"], None), settings)
    model, optimizer, loader, val_loader = accelerator.prepare(model, optimizer, loader, val_loader)
    if accelerator.scaler and progress.scaler:
        accelerator.scaler.load_state_dict(progress.scaler)
    learner.kept.to(accelerator.device)

    while not progress.is_over(settings):
        start, epoch = time.perf_counter(), progress.epoch + 1
        dataset.set_epoch(epoch)
        loader.set_epoch(epoch)  # Accelerate hands it on to the sampler, and would count for itself otherwise
        title = f"epoch {epoch} of {settings.epochs}"
        loss = _train_epoch(accelerator, model, learner, optimizer, loader, settings, n_classes, title)
        scheduler.step()
        scores = validate(accelerator, learner.kept if settings.ema else model, val_loader, settings, n_classes)
        timing = {"lr": scheduler.get_last_lr()[0], "seconds": time.perf_counter() - start}
        is_best = progress.add({"epoch": epoch, **loss, **scores, **timing})
        progress.scaler = accelerator.scaler.state_dict() if accelerator.scaler else None
        if accelerator.is_main_process:
            save(folder, mark, learner, progress, is_best)
        if epoch == stop_after:
            return pd.DataFrame(progress.history)
    if accelerator.is_main_process:
        finish(folder, mark, cfg, run, offline)
    accelerator.wait_for_everyone()
    return pd.DataFrame(progress.history)


def _loader(dataset: EyeDataset, settings: Training, sampler: Sampler | None = None) -> DataLoader:
    training = sampler is not None
    return DataLoader(
        dataset,
        batch_size=settings.batch_size,
        sampler=sampler,
        num_workers=settings.n_workers,
        drop_last=training and len(dataset) >= settings.batch_size,  # 10,000 / 32 -> the slides' 312 batches
        pin_memory=torch.cuda.is_available(),
    )


def _train_epoch(
    accelerator, model, learner: Learner, optimizer, loader, settings: Training, n_classes: int, title: str
) -> dict[str, float]:
    model.train()
    losses = []
    hidden = {} if accelerator.is_main_process else {"disable": True}  # TQDM_DISABLE silences the rest
    bar = tqdm(loader, desc=title, leave=False, **hidden)
    for step, batch in enumerate(bar):
        images, masks = to_model(batch, n_classes)
        with accelerator.accumulate(model):
            with accelerator.autocast():
                logits = model(images)
            loss = dice_bce(logits, masks, settings.bce_weight, settings.dice_weight)
            if not torch.isfinite(loss):
                raise FloatingPointError(
                    f"the loss is {loss.item()} in {title}, step {step}: lower training.lr or use precision: no; "
                    "the last good checkpoint is kept"
                )
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_((p for p in model.parameters() if p.requires_grad), settings.clip_norm)
            optimizer.step()
            optimizer.zero_grad()
        if learner.averaged and accelerator.sync_gradients:
            learner.averaged.update_parameters(learner.model)
        losses.append(loss.detach())
    return {"train_loss": accelerator.reduce(torch.stack(losses).mean(), "mean").item()}


@torch.no_grad()
def validate(accelerator, model: nn.Module, loader: DataLoader, settings: Training, n_classes: int) -> dict[str, float]:
    """Loss over all classes; for the sclera means over images of F1, IoU and MAE, and pooled F1, at the input size."""
    model.eval()
    losses, counts = [], []
    for batch in loader:
        images, masks = to_model(batch, n_classes)
        with accelerator.autocast():
            logits = model(images)
        logits, masks = accelerator.gather_for_metrics((logits.float(), masks))
        losses += [dice_bce(logits, masks, settings.bce_weight, settings.dice_weight).item()] * len(logits)
        sclera = logits[:, 0].sigmoid().cpu().numpy(), masks[:, 0].bool().cpu().numpy()
        counts.append(count_pixels(*sclera))
    counts = pd.concat(counts, ignore_index=True)
    means = scores(counts)[["f1", "iou", "mae"]].mean()
    pooled = pooled_scores(counts)["f1"]
    return {"val_loss": float(np.mean(losses)), **means.add_prefix("val_").to_dict(), "val_f1_pooled": float(pooled)}


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


def read_run(folder: Path) -> dict | None:
    """What run.json says of a finished run; None while it is not finished."""
    path = Path(folder) / "run.json"
    return json.loads(path.read_text()) if path.exists() else None


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
