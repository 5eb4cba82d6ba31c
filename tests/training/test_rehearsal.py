"""The dry run: the real step on rendered eyes, and no trace left."""

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from typer.testing import CliRunner

from cgdseg.cli.shared import app
from cgdseg.config import load_config
from cgdseg.models.inspect import parameter_counts
from cgdseg.training import rehearsal, session
from cgdseg.training.objectives import Segmentation
from cgdseg.training.rehearsal import rehearse


def changed(cfg, **changes):
    return cfg.model_copy(update={"training": cfg.training.model_copy(update=changes)})


@pytest.fixture
def cfg():
    return load_config("smoke")


def test_it_takes_the_real_steps_and_leaves_nothing(cfg, home, monkeypatch):
    batches = []
    step = session.train_step
    monkeypatch.setattr(rehearsal, "train_step", lambda *words: batches.append(words[1]) or step(*words))
    result = rehearse(changed(cfg, accumulate=2), cfg.runs()[0])
    assert [tuple(batch["images"].shape) for batch in batches] == [(8, 3, 48, 64)] * 4
    assert len(result["losses"]) == len(result["seconds per step"]) == 2 and np.isfinite(result["losses"]).all()
    assert result["trainable"] == parameter_counts(cfg.systems["cgdseg_scratch"])["trainable"]
    assert list(home.iterdir()) == []


def test_it_follows_the_recipe(cfg, home):
    run = cfg.runs()[0]
    one, two = rehearse(cfg, run), rehearse(changed(cfg, lr=1e-5), run)
    assert one["losses"][0] == two["losses"][0] and one["losses"][1] != two["losses"][1]  # one step lies between
    first, last = one["learning rates, first epoch"], one["learning rates, last epoch"]
    assert first == [1e-2] and last == pytest.approx([1e-6 + (1e-2 - 1e-6) / 2 * (1 + np.cos(np.pi * 3 / 4))])


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA has fp16")
def test_without_cuda_fp16_gives_way(cfg, home):
    AcceleratorState._reset_state(reset_partial_state=True)  # the precision is the process's
    try:
        assert rehearse(changed(cfg, precision="fp16"), cfg.runs()[0])["precision"] == "bf16 (fp16 needs CUDA)"
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


def test_datasets_without_a_look_get_one(tiny_config):
    result = rehearse(tiny_config, tiny_config.runs()[0])
    assert result["input size"].startswith("32x48") and result["batch"] == 4


def test_the_command_rehearses_trains_and_says_what_is_missing(home, monkeypatch):
    def said(*words):
        result = CliRunner().invoke(app, ["train", "--config", "smoke", *words])
        return result.exit_code, " ".join(result.output.split())

    code, words = said("--dry-run")
    assert code == 0 and "trainable 63,608" in words and words.endswith("nothing was written")
    code, words = said()
    assert code == 1 and "run notebooks/01_data_audit.ipynb first" in words
    code, words = said("--system", "other")
    assert code == 1 and "has no run other-synthetic-42; it has: cgdseg_scratch-synthetic-42" in words
    monkeypatch.setattr(Segmentation, "loss", lambda self, logits, *_: logits.sum() * float("nan"))
    code, words = said("--dry-run")
    assert code == 1 and "lower training.lr" in words
