"""Tiny settings that keep every test in seconds."""

import os
import sys
from pathlib import Path

import pytest
from tiny_data import write_drawn_eyes

from cgdseg import paths
from cgdseg.config import schema, systems
from cgdseg.data import cache, manifest, splits

QUICK = str(Path(__file__).with_name("quick"))
sys.path.insert(0, QUICK)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [QUICK, os.environ.get("PYTHONPATH")]))  # kernels, papermill


@pytest.fixture
def tiny_cgdseg() -> systems.CGDSeg:
    """CGDSeg at 32x48 with random encoders: same code, toy widths."""
    return systems.CGDSeg(
        input_size=(32, 48),
        backbone={"source": "random", "patch_size": 8, "hidden_size": 24, "n_layers": 2, "n_heads": 2, "lora_rank": 2},
        text={"source": "random", "width": 16},
        attention_heads=2,
        pyramid=(4, 8, 12),
        decoder=(16, 12, 8),
        growth=4,
        n_dense=2,
        squeeze=4,
        head=4,
    )


@pytest.fixture
def tiny_unet() -> systems.UNet:
    return systems.UNet(input_size=(32, 48), channels=(4, 8))


@pytest.fixture
def tiny_systems(tiny_cgdseg, tiny_unet) -> dict:
    segformer = systems.SegFormer(input_size=(32, 48), channels=(8, 16, 40, 64), depths=(1, 1, 1, 1), decoder=16)
    segnet = systems.SegNet(input_size=(33, 47), channels=(4, 8, 8))  # odd at every stage
    return {"cgdseg": tiny_cgdseg, "unet": tiny_unet, "segnet": segnet, "segformer": segformer}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Every path that runs write to lies below tmp_path."""
    monkeypatch.setattr(paths, "HOME", tmp_path)
    return tmp_path


@pytest.fixture
def tiny_config(home, tiny_cgdseg, tiny_unet) -> schema.Config:
    """Two small datasets of drawn eyes, audited, split and decoded: ready to train."""
    for name, shift in (("Drawn", 0), ("Photos", 40)):
        write_drawn_eyes(home / name, n=12, shift=shift)
    datasets = {
        "Drawn": {"layout": "plain", "root": "Drawn", "domain": "synthetic"},
        "Photos": {"layout": "plain", "root": "Photos", "domain": "real", "test_only": True},
    }
    cfg = schema.Config(
        name="tiny",
        datasets=datasets,
        conditions={"synthetic": ("Drawn",)},
        systems={"cgdseg": tiny_cgdseg, "unet": tiny_unet},
        training={"epochs": 3, "batch_size": 4, "lr": 1e-2},
        evaluation={"size": (36, 48)},
    )
    eyes, findings = manifest.build_manifest(cfg, progress=False)
    manifest.save_manifest(cfg, eyes, findings)
    splits.save_splits(cfg, splits.make_splits(eyes, cfg))
    for size in {*cfg.input_sizes(), cfg.evaluation.size}:
        cache.build_cache(cfg, eyes, size, n_workers=1, progress=False)
    return cfg
