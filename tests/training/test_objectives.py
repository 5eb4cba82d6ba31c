"""Another objective in the common loop: contrast of two views, without a mask, a class or an eye in it."""

import json
import math
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset

from cgdseg.config import Training
from cgdseg.models import weights
from cgdseg.training.loop import Task, learn
from cgdseg.training.objectives import Objective


class Pairs(Dataset):
    """Two noisy views (8,) of each of n things."""

    def __init__(self, n: int, seed: int):
        self.things, self.epoch = torch.randn(n, 8, generator=torch.Generator().manual_seed(seed)), 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.things)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        if row >= len(self):
            raise IndexError
        noise = torch.randn(2, 8, generator=torch.Generator().manual_seed(1000 * self.epoch + row))
        return dict(zip(("seen", "said"), self.things[row] + 0.3 * noise, strict=True))


@dataclass(frozen=True)
class Contrast(Objective):
    """InfoNCE between the views; the best epoch by the share of things whose views find each other."""

    best_by: ClassVar[str] = "val_retrieved"

    def build(self):
        return nn.Linear(8, 4)

    def offline(self, model):
        return {"shape": list(model.weight.shape)}

    def forward(self, model, batch):
        return F.normalize(model(batch["seen"]), dim=1), F.normalize(model(batch["said"]), dim=1)

    def loss(self, outputs, batch, over_processes):
        seen, said = outputs
        return F.cross_entropy(10 * seen @ said.T, torch.arange(len(seen)))

    def measure(self, outputs, batch):
        return outputs

    def scores(self, seen, said):
        return {"val_retrieved": ((seen @ said.T).argmax(1) == torch.arange(len(seen))).float().mean().item()}


@pytest.fixture
def task(tmp_path):
    settings = Training(epochs=4, batch_size=16, lr=0.05, weight_decay=0)
    about = {"training_set": Pairs(64, 0), "validation_set": list(Pairs(64, 1)), "card": {"run_id": "toy"}}
    return Task(objective=Contrast(), settings=settings, seed=3, folder=tmp_path / "toy", fingerprint="one", **about)


def test_another_stage_learns_and_keeps_its_own_best(task):
    history = learn(task)
    # by chance one in 64 finds its other view
    assert history.val_retrieved.max() > 0.3 and "val_f1" not in history
    tensors, meta = weights.load(task.folder / "best.safetensors")
    assert meta["epoch"] == history.epoch[history.val_retrieved.idxmax()] and tensors["weight"].shape == (4, 8)
    card = json.loads((task.folder / "run.json").read_text())
    assert card["shape"] == [4, 8] and card["run_id"] == "toy" and card["fingerprint"] == "one"


def test_it_resumes_as_if_nothing_had_happened_and_is_not_done_twice(task, tmp_path):
    whole = learn(task)
    halves = Task(**{**task.__dict__, "folder": tmp_path / "again"})
    learn(halves, stop_after=2)
    resumed = learn(halves)
    columns = ["epoch", "train_loss", "val_retrieved", "lr"]
    pd.testing.assert_frame_equal(whole[columns], resumed[columns], check_exact=True)
    assert resumed.seconds.tolist() == learn(halves).seconds.tolist()


def test_a_score_may_be_negative(task):
    class Distance(Contrast):
        def scores(self, seen, said):
            return {"val_retrieved": -math.dist(seen[0].tolist(), said[0].tolist())}

    below_zero = Task(**{**task.__dict__, "objective": Distance()})
    history = learn(below_zero)
    assert (history.val_retrieved < 0).all() and (task.folder / "best.safetensors").exists()


def test_a_card_without_an_id_is_refused(task):
    """It could not be told from a damaged one, and its run would be put aside and trained for ever."""
    with pytest.raises(ValueError, match="must hold its run_id"):
        Task(**{**task.__dict__, "card": {}})
