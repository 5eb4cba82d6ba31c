"""Tiny settings that keep every test in seconds."""

import pytest

from cgdseg import config


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
    return {"cgdseg": tiny_cgdseg, "unet": tiny_unet}
