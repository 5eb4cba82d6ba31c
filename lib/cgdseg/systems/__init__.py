"""The registry: every system is settings -> module, images (B, 3, H, W) in [0, 1] -> logits (B, 1, H, W)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from cgdseg.config import System
from cgdseg.systems import cgdseg, unet


@dataclass(frozen=True)
class Builder:
    build: Callable[[Any], nn.Module]
    parts: Callable[[Any], dict[str, list[nn.Parameter]]]  # parameters by part, for tables
    offline: Callable[[Any, Any], Any] = lambda settings, model: settings  # settings that need no hub


SYSTEMS: dict[str, Builder] = {
    "cgdseg": Builder(cgdseg.build_cgdseg, cgdseg.parts, cgdseg.offline),
    "unet": Builder(unet.build_unet, unet.parts),
}


def build_system(settings: System) -> nn.Module:
    """Build the system that `settings.kind` names."""
    return SYSTEMS[settings.kind].build(settings)


def offline_settings(settings: System, model: nn.Module) -> System:
    """Settings that rebuild `model` from its own checkpoint, without a hub."""
    return SYSTEMS[settings.kind].offline(settings, model)


def parameter_table(settings: System, model: nn.Module) -> pd.DataFrame:
    """One row a part: part, parameters, trainable."""
    rows = [
        {
            "part": part,
            "parameters": sum(p.numel() for p in parameters),
            "trainable": sum(p.numel() for p in parameters if p.requires_grad),
        }
        for part, parameters in SYSTEMS[settings.kind].parts(model).items()
    ]
    return pd.DataFrame(rows)


@torch.no_grad()
def trace(model: nn.Module, images: Tensor) -> dict[str, Any]:
    """Run the model once in eval mode and return every submodule's output by its dotted name, in call order."""
    outputs: dict[str, Any] = {}
    hooks = [
        module.register_forward_hook(lambda _m, _i, output, name=name: outputs.__setitem__(name, output))
        for name, module in model.named_modules()
    ]
    was_training = model.training
    try:
        model.eval()(images)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return outputs
