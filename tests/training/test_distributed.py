"""Two processes train and validate as one does, with batches and sets that cannot be halved."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
import yaml
from accelerate import Accelerator
from test_loop import COMPARED, streaming, weights, with_training
from two_processes import build_toy, noting

from cgdseg import paths
from cgdseg.data import splits, stored
from cgdseg.data.batches import EyeDataset
from cgdseg.data.cache import open_cache
from cgdseg.data.stored import load_manifest
from cgdseg.models import weights as checkpoints
from cgdseg.models.registry import build_system
from cgdseg.models.zoo import unet
from cgdseg.training import loop, session
from cgdseg.training.objectives import Segmentation
from cgdseg.training.resume import read_history
from cgdseg.training.runs import run_folder

SCORES = ["val_loss", "val_f1", "val_iou", "val_mae", "val_f1_pooled"]
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture
def cases(tiny_config):
    """Configs by name: 7 files train, 5 validate."""
    cfg = tiny_config.model_copy(update={"splits": tiny_config.splits.model_copy(update={"val_fraction": 0.45})})
    splits.save_splits(cfg, splits.make_splits(load_manifest(cfg), cfg))
    assert [len(stored.part_ids(cfg, "synthetic", part)) for part in ("train", "val")] == [7, 5]
    averaged = with_training(streaming(cfg), stream={"synthetic": 21}, ema=0.8)
    unfilled = {"batch_size": 8, "accumulate": 2}  # more than there are to validate
    return {
        "files": with_training(cfg, batch_size=2, epochs=4, lr=0.03),
        "streamed": with_training(averaged, lr=0.03, **unfilled),
        "uneven": with_training(cfg, batch_size=3),
        "cgdseg": with_training(averaged, batch_size=4),
    }


def train_in_two_processes(cases, folder) -> tuple[list[dict], str]:
    """What each process saw, and what was printed."""
    for name, cfg in cases.items():
        path = folder / name / "tiny.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(yaml.safe_dump(cfg.model_dump(mode="json", exclude={"name"})))
    env = {**os.environ, "CGDSEG_HOME": str(paths.HOME), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    env |= {"PYTHONPATH": str(paths.LIB), "TQDM_DISABLE": "1"}
    script = Path(__file__).with_name("two_processes.py")
    done = subprocess.run([*LAUNCH, str(script), str(folder)], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(2)], done.stdout


def test_two_processes_train_as_one(cases, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    single, norms = {}, []
    with monkeypatch.context() as patch:
        patch.setattr(Accelerator, "clip_grad_norm_", noting(norms))
        patch.setattr(unet, "build", build_toy)
        for name in ("files", "streamed"):
            cfg, run = cases[name], cases[name].run("unet", "synthetic", 42)
            single[name] = loop.train(cfg, run), weights(cfg, run)
            shutil.rmtree(run_folder(cfg, run))

    seen, printed = train_in_two_processes(cases, tmp_path / "cases")

    assert [process["processes"] for process in seen] == [2, 2]
    assert len(seen[0]["weights"]) == 4 + 2 + 2 and seen[0]["weights"] == seen[1]["weights"]  # buffers and averages too
    assert all("multiple of 2" in process["error"] and "training.batch_size" in process["error"] for process in seen)
    assert printed.count("best epoch") == 1
    assert len(norms) == 4 * 3 + 2 and seen[0]["norms"][: len(norms)] == pytest.approx(norms, rel=1e-5)
    for name, (history, expected) in single.items():
        cfg, run = cases[name], cases[name].run("unet", "synthetic", 42)
        both = read_history(run_folder(cfg, run))
        assert history.val_f1.min() > 0.5  # or equal scores would say little
        pd.testing.assert_frame_equal(both[COMPARED], history[COMPARED], rtol=1e-5, atol=0)
        found = weights(cfg, run)
        assert all(torch.allclose(found[key], tensor, rtol=1e-4, atol=1e-6) for key, tensor in expected.items())

    # CGDSeg's batch norm sees half a batch in each process here, so it learns a little differently: 5 %
    cfg, run = cases["cgdseg"], cases["cgdseg"].run("cgdseg", "synthetic", 42)
    both = read_history(run_folder(cfg, run))
    assert_validated_as_by_one(cfg, run, both.loc[both.val_f1.idxmax()])
    shutil.rmtree(run_folder(cfg, run))
    assert both.train_loss.tolist() == pytest.approx(loop.train(cfg, run).train_loss.tolist(), rel=0.05)


def assert_validated_as_by_one(cfg, run, row):
    """The weights that two processes kept have the scores that two processes gave them."""
    system = cfg.systems[run.system]
    model = build_system(system).to(memory_format=torch.channels_last)
    checkpoints.load_model(model, weights(cfg, run))
    dataset = EyeDataset(open_cache(cfg, system.input_size), stored.part_ids(cfg, run.condition, "val"))
    accelerator = session.start_accelerator(cfg.training)
    for batch_size in (4, 5):
        settings = cfg.training.model_copy(update={"batch_size": batch_size})
        loader = session.make_loader(accelerator, dataset, settings)
        objective = Segmentation(system, settings)
        alone = session.validate(SimpleNamespace(accelerator=accelerator, objective=objective), model, loader)
        assert [alone[key] for key in SCORES] == pytest.approx([row[key] for key in SCORES], rel=1e-6)
