"""How far a training has come, to disk and back.

save_progress(folder, mark, learner, progress, is_best) writes checkpoints/epoch-<n>.safetensors, best.safetensors and
history.jsonl; resume(folder, learner) puts the newest whole checkpoint back; is_finished says whether all is done."""

import contextlib
import json
import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from cgdseg.config import Training
from cgdseg.files import lock, write_atomic
from cgdseg.hashes import sha256
from cgdseg.models import weights as checkpoints
from cgdseg.models.weights import read_run

HISTORY = "history.jsonl"  # in a run's folder, a line an epoch
ORPHAN_S = 15  # a kernel whose runner was killed notices it within seconds


@dataclass(frozen=True)
class Learner:
    """Everything that changes while a model learns, without what Accelerate wraps around it."""

    model: nn.Module
    averaged: AveragedModel | None
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler

    @property
    def kept(self) -> nn.Module:
        """The model that is validated and kept: the averaged one, where there is one."""
        return self.averaged.module if self.averaged else self.model


@dataclass
class Progress:
    """What a checkpoint remembers beside tensors."""

    epoch: int = 0  # finished epochs
    history: list[dict] = field(default_factory=list)
    scaler: dict | None = None  # of mixed precision in fp16
    best_by: str = "val_f1"  # the column that says which epoch is best (`Objective.best_by`)

    def is_over(self, settings: Training) -> bool:
        """Whether all epochs are done, or the last `patience` of them brought nothing better."""
        scores = [row[self.best_by] for row in self.history]
        waited = len(scores) - 1 - int(np.argmax(scores)) if scores else 0
        return self.epoch >= settings.epochs or 0 < settings.patience <= waited

    def add(self, row: dict) -> bool:
        """Take in a finished epoch; whether it is the best so far."""
        is_best = row[self.best_by] > max((earlier[self.best_by] for earlier in self.history), default=-math.inf)
        self.history.append(row)
        self.epoch = row["epoch"]
        return is_best


@contextlib.contextmanager
def sole_trainer(folder: Path) -> Iterator[None]:
    """Own a run's folder, in the first of torchrun's processes; Busy names the owner where there is another one."""
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    with lock(folder.with_name(f".{folder.name}.lock"), f"the training {folder.name}", ORPHAN_S):
        yield


def save_progress(folder: Path, mark: str, learner: Learner, progress: Progress, is_best: bool) -> None:
    """Write one epoch's checkpoint, and the weights that are kept if they are the best so far."""
    weights = checkpoints.model_tensors(learner.kept)
    # both before the epoch: if a kill falls between, it is trained again and writes the same; the other way round, a
    # kill after the last epoch would leave a finished run whose history lacks it
    write_atomic(folder / HISTORY, "".join(json.dumps(row) + "\n" for row in progress.history))
    if is_best:
        checkpoints.save(folder / "best.safetensors", weights, {"epoch": progress.epoch})
    tensors = _above("model.", checkpoints.model_tensors(learner.model)) | _optimizer_tensors(learner)
    if learner.averaged:
        tensors |= _above("averaged.", weights) | {"n_averaged": learner.averaged.n_averaged}
    meta = {
        "fingerprint": mark,
        "epoch": progress.epoch,
        "history": progress.history,
        "scheduler": learner.scheduler.state_dict(),
        "scaler": progress.scaler,
    }
    checkpoints.save_epoch(folder / "checkpoints", progress.epoch, tensors, meta)


def resume(folder: Path, learner: Learner, best_by: str = "val_f1") -> Progress:
    """Load the newest whole checkpoint into the learner; a fresh Progress when there is none."""
    found = checkpoints.load_newest(folder / "checkpoints")
    if found is None:
        return Progress(best_by=best_by)
    tensors, meta = found
    checkpoints.load_model(learner.model, _below("model.", tensors))
    if learner.averaged:
        checkpoints.load_model(learner.averaged.module, _below("averaged.", tensors))
        learner.averaged.n_averaged.copy_(tensors["n_averaged"])
    moments = {key: _below(f"optimizer.{key}.", tensors) for key in ("step", "exp_avg", "exp_avg_sq")}
    for name, parameter in learner.model.named_parameters():
        if name in moments["step"]:
            # in the parameter's own memory format, which the fused step takes for granted
            like = {key: torch.empty_like(parameter) for key in moments} | {"step": torch.empty(())}
            state = {key: like[key].copy_(named[name]) for key, named in moments.items()}
            learner.optimizer.state[parameter] = state
    learner.scheduler.load_state_dict(meta["scheduler"])
    for group, lr in zip(learner.optimizer.param_groups, meta["scheduler"]["_last_lr"], strict=True):
        group["lr"] = lr
    return Progress(meta["epoch"], meta["history"], meta["scaler"], best_by)


def _optimizer_tensors(learner: Learner) -> dict[str, Tensor]:
    """AdamW's moments and step counts by parameter name."""
    names = {id(p): name for name, p in learner.model.named_parameters()}
    states = learner.optimizer.state.items()
    return {f"optimizer.{key}.{names[id(p)]}": value for p, state in states for key, value in state.items()}


def put_aside(folder: Path, mark: str) -> None:
    """Move a run of another fingerprint to <run id>.previous: an edit must not cost finished weights.

    What a kill left before its first checkpoint is removed instead: it must not take the place of a run put aside."""
    for part in folder.glob("**/.*.part"):  # of writers that were killed
        part.unlink()
    found = checkpoints.load_newest(folder / "checkpoints")
    if found is None and not (folder / "run.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.exists() and (found is None or found[1]["fingerprint"] != mark):
        previous = folder.with_name(f"{folder.name}.previous")
        shutil.rmtree(previous, ignore_errors=True)
        folder.rename(previous)


def read_history(folder: Path) -> pd.DataFrame:
    """The history of a run, one row an epoch."""
    return pd.DataFrame(map(json.loads, (Path(folder) / HISTORY).read_text().splitlines()))


def is_finished(folder: Path, mark: str) -> bool:
    """Whether a folder holds a finished run of this fingerprint with all its files unaltered."""
    weights = folder / "best.safetensors"
    try:
        card = read_run(folder)
    except ValueError:  # trained again, and the damaged run put aside
        return False
    if card is None or card["fingerprint"] != mark or not (folder / HISTORY).exists():
        return False
    return weights.exists() and sha256(weights) == card["weights_sha256"]


def _above(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
