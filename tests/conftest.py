"""Tiny settings that keep every test in seconds."""

import cv2
import numpy as np
import pytest

from cgdseg import config, paths
from cgdseg.data import cache, manifest, splits


@pytest.fixture
def tiny_cgdseg() -> config.CGDSeg:
    """CGDSeg at 32x48 with random encoders: same code, toy widths."""
    return config.CGDSeg(
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
def tiny_unet() -> config.UNet:
    return config.UNet(input_size=(32, 48), channels=(4, 8))


@pytest.fixture
def tiny_systems(tiny_cgdseg, tiny_unet) -> dict:
    segformer = config.SegFormer(input_size=(32, 48), channels=(8, 16, 40, 64), depths=(1, 1, 1, 1), decoder=16)
    segnet = config.SegNet(input_size=(33, 47), channels=(4, 8, 8))  # odd at every stage
    return {"cgdseg": tiny_cgdseg, "unet": tiny_unet, "segnet": segnet, "segformer": segformer}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Every path that runs write to lies below tmp_path."""
    monkeypatch.setattr(paths, "HOME", tmp_path)
    return tmp_path


@pytest.fixture
def tiny_config(home, tiny_cgdseg, tiny_unet) -> config.Config:
    """Two small datasets of drawn eyes, audited, split and decoded: ready to train."""
    for name, shift in (("Drawn", 0), ("Photos", 40)):
        write_drawn_eyes(home / name, n=12, shift=shift)
    datasets = {
        "Drawn": {"layout": "plain", "root": "Drawn", "domain": "synthetic"},
        "Photos": {"layout": "plain", "root": "Photos", "domain": "real", "test_only": True},
    }
    cfg = config.Config(
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


def write_drawn_eyes(folder, n: int, shift: int = 0) -> None:
    """A white ellipse on skin with a dark disc in it: Images/<i>.png (60, 80) and Masks/<i>.png, 255 = sclera."""
    rng = np.random.default_rng(shift)
    for sub in ("Images", "Masks"):
        (folder / sub).mkdir(parents=True)
    for i in range(n):
        centre = (int(rng.integers(30, 50)), int(rng.integers(24, 36)))
        mask = cv2.ellipse(np.zeros((60, 80), np.uint8), centre, (24, 12), 0, 0, 360, 255, -1)
        cv2.circle(mask, centre, 8, 0, -1)
        image = np.full((60, 80, 3), (150 - shift, 120, 100), np.uint8)
        cv2.ellipse(image, centre, (24, 12), 0, 0, 360, (230 - shift, 230, 235), -1)
        cv2.circle(image, centre, 8, (40, 60, 90), -1)
        noise = rng.normal(0, 4, image.shape)
        cv2.imwrite(str(folder / "Images" / f"{i}.png"), np.clip(image + noise, 0, 255).astype(np.uint8)[..., ::-1])
        cv2.imwrite(str(folder / "Masks" / f"{i}.png"), mask)
