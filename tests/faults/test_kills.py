"""SIGKILL while a training runs and while it saves: nothing is unreadable, at most one epoch is trained twice, and the
resumed result is the uninterrupted one to the last bit."""

import random
import time

import pytest
import torch
from trainer import Trainer

from cgdseg.models import weights
from cgdseg.training import resume

N_RANDOM = 25


@pytest.fixture
def trainer(home, tiny_config, request):
    """The tiny config for a system; and the result of an uninterrupted run, with its seconds and instants."""
    changes = {"epochs": 3, "ema": 0.5 if request.param == "unet" else 0.0}
    cfg = tiny_config.model_copy(update={"training": tiny_config.training.model_copy(update=changes)})
    trainer = Trainer(home, cfg, cfg.run(request.param, "synthetic", 42))
    trainer.finish()  # once to warm up
    trainer.clear()
    process = trainer.start()
    started = begun(trainer)
    process.join()
    trainer.seconds = time.monotonic() - started
    trainer.expected = trainer.result()
    trainer.instants = int(trainer.said()[-1].partition(":")[2])
    return trainer


def begun(trainer) -> float:
    """Wait until `train` is called; return when that was."""
    while not trainer.said():
        time.sleep(0.002)
    return time.monotonic()


def resumed(trainer) -> list[str]:
    """Resume after a kill; return what was lost."""
    faults = [f"{n} unreadable checkpoints" for n in [trainer.unreadable()] if n]
    trainer.finish()
    if (n := trainer.trained_twice()) > 1:
        faults.append(f"{n} epochs lost")
    return faults + trainer.differs(trainer.expected)


def killed_at(trainer, at: int) -> list[str]:
    trainer.clear()
    process = trainer.start(at)
    process.join()
    assert process.exitcode == -9, f"instant {at} of {trainer.instants} did not come"
    return resumed(trainer)


@pytest.mark.parametrize("trainer", ["unet"], indirect=True)
def test_a_kill_in_the_middle_of_saving(trainer, count):
    """Three of the instants that the long test goes through one by one."""
    chosen = [trainer.instants * k // 5 for k in (1, 2, 4)]
    lost = {at: faults for at in chosen if (faults := killed_at(trainer, at))}
    assert not lost
    count("SIGKILL at an instant of writing", len(chosen))


@pytest.mark.faults
@pytest.mark.parametrize("trainer", ["unet", "cgdseg"], indirect=True)
def test_a_kill_at_every_instant_of_saving(trainer, count):
    """Every one of the small network's, every fifth of CGDSeg's, which saves with the same code but other tensors."""
    instants = range(0, trainer.instants, 1 if trainer.run.system == "unet" else 5)
    lost = {at: faults for at in instants if (faults := killed_at(trainer, at))}
    count("SIGKILL at an instant of writing", len(instants), len(lost))
    assert not lost and trainer.instants > 30


@pytest.mark.faults
@pytest.mark.parametrize("trainer", ["unet", "cgdseg"], indirect=True)
def test_kills_at_random_instants(trainer, count):
    """N_RANDOM kills, each at a time drawn from the whole run, from the call of `train` to its end.

    A run that was done before its kill is no trial, and tells how long a run really takes."""
    draw, n_kills, lost = random.Random(7), 0, []
    for _ in range(4 * N_RANDOM):
        trainer.clear()
        process = trainer.start()
        started = begun(trainer)
        process.join(draw.random() * trainer.seconds)
        process.kill()
        process.join()
        if process.exitcode == 0:
            trainer.seconds = min(trainer.seconds, time.monotonic() - started)
            continue
        n_kills += 1
        lost += resumed(trainer)
        if n_kills == N_RANDOM:
            break
    count("SIGKILL at a random instant of training", n_kills, len(lost))
    assert not lost and n_kills == N_RANDOM


@pytest.mark.faults
@pytest.mark.parametrize("trainer", ["unet"], indirect=True)
def test_killed_again_and_again(trainer, count):
    """One training, killed in every third instant of what is left, until it is done."""
    trainer.clear()
    n_kills = 0
    while True:
        process = trainer.start(at=3)
        process.join()
        if process.exitcode == 0:
            break
        n_kills += 1
        assert trainer.unreadable() == 0 and n_kills < 500
        if n_kills % 10 == 0:  # 3 instants are too few to save anything: let one go on for longer
            process = trainer.start(at=40)
            process.join()
            n_kills += process.exitcode != 0
            if process.exitcode == 0:
                break
    assert not trainer.differs(trainer.expected)
    count("SIGKILL at an instant of writing", n_kills)


def test_what_a_kill_left_costs_no_finished_weights(tmp_path):
    """A run whose data changed is put aside; then its successor is killed before its first checkpoint, twice."""
    folder, previous = tmp_path / "run", tmp_path / "run.previous"
    weights.save(folder / "best.safetensors", {"finished": torch.ones(1)}, {})
    (folder / "run.json").write_text("{}")
    resume.put_aside(folder, "new")
    for _ in range(2):
        weights.save(folder / "best.safetensors", {"half": torch.zeros(1)}, {})
        (folder / ".best.safetensors.99.part").write_text("half")
        resume.put_aside(folder, "new")
        assert not folder.exists()
    assert "finished" in weights.load(previous / "best.safetensors")[0]
