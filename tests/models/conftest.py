"""A checkpoint folder as the hub would give it."""

import pytest
from tiny_dinov2 import TINY
from transformers import Dinov2Config, Dinov2Model


@pytest.fixture
def dinov2_folder(tmp_path):
    Dinov2Model(Dinov2Config(**TINY)).save_pretrained(tmp_path / "dinov2")
    return tmp_path / "dinov2"
