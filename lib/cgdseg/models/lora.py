"""LoRA (Hu et al. 2022) on a DINOv2's attention: added before training, folded into the weights before prediction."""

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from transformers import Dinov2Model


def add_lora(dinov2: "Dinov2Model", rank: int, alpha: float, shared: bool = True) -> None:
    """Adapt q, k and v of every block; `shared`: with one A per block for the three.

    Sharing A is what an adapter on a fused qkv projection has (slide "Low-Rank Adaptation"):
    r * C + 3 * C * r parameters a block, 12,288 for ViT-S at rank 8; apart they have 6 * r * C, 18,432."""
    from peft import LoraConfig, inject_adapter_in_model  # seconds that a system without adapters does not wait

    attention = r".*attention\.(?:attention\.)?(?:q_proj|k_proj|v_proj|query|key|value)$"  # names moved in 5.18
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=attention), dinov2)
    adapted = [module for module in dinov2.modules() if hasattr(module, "lora_A")]
    expected = 3 * dinov2.config.num_hidden_layers
    if len(adapted) != expected:
        raise ValueError(f"LoRA found {len(adapted)} projections, not {expected}: transformers renamed its modules")
    if not shared:
        return
    for query, key, value in zip(adapted[0::3], adapted[1::3], adapted[2::3], strict=True):
        key.lora_A["default"].weight = value.lora_A["default"].weight = query.lora_A["default"].weight


def merge_lora(model: nn.Module) -> None:
    """Fold every adapter into the weights it adapts, for inference: the same output without its cost."""
    for module in model.modules():
        if hasattr(module, "lora_A"):
            module.merge()
