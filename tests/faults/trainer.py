"""A training in a process of its own, killed at a moment of our choice, and what it left behind.

Trainer(home, cfg, run): start(at) -> Process; at = the how-manieth instant of writing at which the process kills itself
with SIGKILL: before and after every fsync, rename and removal, before and in the middle of every write."""

import itertools
import multiprocessing
import os
import shutil
import signal
from collections import Counter
from pathlib import Path

import torch

from cgdseg import files, paths
from cgdseg.config import Config, Run
from cgdseg.models import weights as checkpoints
from cgdseg.training import loop, runs
from cgdseg.training.resume import read_history

COMPARED = ["epoch", "train_loss", "val_loss", "val_f1", "val_iou", "val_mae", "val_f1_pooled", "lr"]
CONTEXT = multiprocessing.get_context("forkserver")  # one import of torch for all of them, and no threads inherited
CONTEXT.set_forkserver_preload(["cgdseg.training.loop"])


class Trainer:
    def __init__(self, home: Path, cfg: Config, run: Run):
        self.home, self.cfg, self.run = home, cfg, run
        self.log = home / "epochs.log"
        self.folder = runs.run_folder(cfg, run)

    def start(self, at: int | None = None):
        words = (self.home, self.cfg.model_dump(mode="json"), self.run.model_dump(), at)
        process = CONTEXT.Process(target=_work, args=words)
        process.start()
        return process

    def finish(self) -> None:
        process = self.start()
        process.join()
        assert process.exitcode == 0

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.log.unlink(missing_ok=True)

    def said(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []

    def unreadable(self) -> int:
        """Checkpoints in the folder that do not load."""
        n = 0
        for path in self.folder.rglob("[!.]*.safetensors"):
            try:
                checkpoints.load(path)
            except checkpoints.BrokenCheckpoint:
                n += 1
        return n

    def trained_twice(self) -> int:
        """Epochs that were begun more often than once, each time counted."""
        return sum(n - 1 for epoch, n in Counter(self.said()).items() if epoch.isdigit())

    def result(self) -> tuple[dict[str, torch.Tensor], list]:
        history = read_history(self.folder)[COMPARED]
        return checkpoints.load(self.folder / "best.safetensors")[0], history.to_numpy().tolist()

    def differs(self, expected: tuple) -> list[str]:
        """In what a run differs from another; nothing when it ended in the same bits and left nothing behind."""
        (weights, history), (others, other_history) = self.result(), expected
        same = weights.keys() == others.keys() and all(torch.equal(weights[name], others[name]) for name in others)
        faults = {
            "other weights": not same,
            "another history": history != other_history,
            "not finished": checkpoints.read_run(self.folder) is None,
            "leftovers": any(self.folder.rglob("*.part")),
        }
        return [fault for fault, found in faults.items() if found]


def _work(home: Path, cfg: dict, run: dict, at: int | None) -> None:
    paths.HOME = home
    log = os.open(home / "epochs.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    epoch_of = loop._epoch

    def epoch(session, loader, val_loader, number, bar):
        os.write(log, f"{number}\n".encode())
        return epoch_of(session, loader, val_loader, number, bar)

    loop._epoch = epoch
    os.write(log, b"started\n")
    instants = _die_at(at)
    loop.train(Config(**cfg), Run(**run))
    os.write(log, f"instants:{next(instants)}\n".encode())


def _die_at(at: int | None):
    """Count the instants at which a kill could hurt a file, and die at one of them."""
    instants = itertools.count()

    def instant() -> None:
        if next(instants) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner, name):
        original = getattr(owner, name)

        def wrapped(*words, **more):
            instant()
            result = original(*words, **more)
            instant()
            return result

        setattr(owner, name, wrapped)

    def in_halves(write, path, *words, **more):
        instant()
        write(path, *words, **more)
        size = os.path.getsize(path)
        kept = Path(path).read_bytes()
        os.truncate(path, size // 2)
        instant()
        with open(path, "wb") as file:
            file.write(kept)

    save_file, write_bytes = checkpoints.save_file, Path.write_bytes
    checkpoints.save_file = lambda tensors, path, **more: in_halves(lambda p: save_file(tensors, p, **more), path)
    Path.write_bytes = lambda path, data: in_halves(lambda p: write_bytes(p, data), path)
    for owner, name in ((files.os, "fsync"), (files.os, "replace"), (Path, "unlink"), (Path, "rename")):
        around(owner, name)
    return instants
