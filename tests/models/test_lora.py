"""Adapters: LoRA starts as the frozen model, is counted, and can be merged away."""

import pytest
import torch
from peft import LoraConfig
from tiny_dinov2 import TINY, encoder_from
from transformers import Dinov2Config, Dinov2Model

from cgdseg.models.lora import add_lora, merge_lora


def test_lora_at_start_equals_the_frozen_model(dinov2_folder):
    images = torch.rand(2, 3, 70, 70)
    with torch.no_grad():
        assert torch.equal(encoder_from(dinov2_folder)(images), encoder_from(dinov2_folder, "frozen")(images))


def test_lora_shares_one_a_per_block_and_steps_apart_in_b(dinov2_folder):
    encoder = encoder_from(dinov2_folder)
    lora = {name: p for name, p in encoder.named_parameters() if "lora_" in name}
    assert sum(p.numel() for p in lora.values()) == 2 * (4 * 24 + 3 * 24 * 4)
    assert sum("lora_A" in name for name in lora) == 2 and sum("lora_B" in name for name in lora) == 6
    block = encoder.dinov2.encoder.layer[0].attention
    shared = [m.lora_A["default"].weight for m in block.modules() if hasattr(m, "lora_A")]
    assert shared[0] is shared[1] is shared[2]


def test_lora_equals_a_fused_qkv_adapter(dinov2_folder):
    """W0 x + (alpha / r) B A x with one A and the three B stacked (slide "LoRA Implementation")."""
    encoder = encoder_from(dinov2_folder)
    query, key, value = (m for m in encoder.dinov2.encoder.layer[0].modules() if hasattr(m, "lora_A"))
    projections = [query, key, value]
    with torch.no_grad():
        for projection in projections:
            projection.lora_B["default"].weight.normal_()
        x = torch.randn(5, 24)
        a = query.lora_A["default"].weight
        b = torch.cat([p.lora_B["default"].weight for p in projections])
        fused = torch.cat([p.base_layer(x) for p in projections], dim=-1) + (x @ a.T @ b.T) * (16 / 4)
        assert torch.allclose(torch.cat([p(x) for p in projections], dim=-1), fused, atol=1e-5)


def test_lora_target_count_is_checked(monkeypatch):
    model = Dinov2Model(Dinov2Config(**TINY))
    monkeypatch.setattr("peft.LoraConfig", lambda **kwargs: LoraConfig(**kwargs | {"target_modules": ["fc1"]}))
    with pytest.raises(ValueError, match="LoRA found 2 projections, not 6"):
        add_lora(model, 4, 16.0)


def test_merged_adapters_give_the_same_patches(dinov2_folder):
    encoder, images = encoder_from(dinov2_folder), torch.rand(2, 3, 70, 70)
    plain = encoder(images)
    for module in encoder.modules():
        if hasattr(module, "lora_B"):
            torch.nn.init.normal_(module.lora_B["default"].weight)
    with torch.no_grad():
        adapted = encoder(images)
        merge_lora(encoder)
        assert not torch.allclose(plain, adapted, atol=1e-3)
        assert torch.allclose(encoder(images), adapted, atol=1e-4)
