"""The registry: every system is settings -> module, images (B, 3, H, W) in [0, 1] -> logits (B, K, H, W), K classes."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cgdseg.architectures import nearest
from cgdseg.config import CGDSeg, Config, System, load_config
from cgdseg.systems import cgdseg, segformer, segnet, unet


@dataclass(frozen=True)
class Builder:
    build: Callable[[Any], nn.Module]
    parts: Callable[[Any], dict[str, list[nn.Parameter]]]  # parameters by part, for tables
    offline: Callable[[Any, Any], Any] = lambda settings, model: settings  # settings that need no hub
    without_weights: Callable[[Any], Any] = lambda settings: settings  # the same shape, without a download


SYSTEMS: dict[str, Builder] = {
    "cgdseg": Builder(cgdseg.build_cgdseg, cgdseg.parts, cgdseg.offline, cgdseg.without_weights),
    "unet": Builder(unet.build_unet, unet.parts),
    "segnet": Builder(segnet.build_segnet, segnet.parts),
    "segformer": Builder(segformer.build_segformer, segformer.parts),
}


def build_system(settings: System) -> nn.Module:
    """Build the system that `settings.kind` names. ValueError where nobody registered it."""
    if settings.kind not in SYSTEMS:
        raise ValueError(f"the kind {settings.kind} has settings but no builder: add it to SYSTEMS in {__file__}")
    return SYSTEMS[settings.kind].build(settings)


def shown_cgdseg(cfg: Config, name: str = "") -> tuple[str, CGDSeg]:
    """The CGDSeg of a config that notebook 2 takes apart: the one called `name`, else the first.

    Where the config has none it is that of the smoke config, at the input size of the config's first system."""
    known = cfg.cgdsegs()
    if name and name not in known:
        raise ValueError(f"config {cfg.name} has no CGDSeg called {name}{nearest(name, known)}")
    if known:
        name = name or next(iter(known))
        return name, known[name]
    smoke, size = load_config("smoke").systems["cgdseg"], next(iter(cfg.systems.values())).input_size
    return "cgdseg of smoke", smoke.model_copy(update={"input_size": size})


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


def parameter_counts(settings: System) -> dict[str, int]:
    """Trainable and total parameters, and those of each part by its name in lower case; nothing is downloaded.

    Where a text tower makes CGDSeg's anchor, `total` counts it, as the slides do."""
    shape = SYSTEMS[settings.kind].without_weights(settings)
    table = parameter_table(settings, build_system(shape))
    parts = dict(
        zip(table.part.str.lower().str.replace(r"\W", "_", regex=True), table.parameters.tolist(), strict=True)
    )
    if settings.kind == "cgdseg" and settings.text.source not in ("random", "rendered"):
        parts["clip_text_tower"] = cgdseg.CLIP_TEXT_TOWER
    return {"trainable": int(table.trainable.sum()), "total": sum(parts.values()), **parts}


@torch.no_grad()
def cost_table(model: nn.Module, images: Tensor, repeats: int = 3) -> pd.DataFrame:
    """One row a top-level part: part, GFLOP and milliseconds for one forward pass of `images` (median of repeats)."""
    called = {name: _called(name, child) for name, child in model.named_children()}
    times: dict[str, list[float]] = {name: [] for name in called}
    started: dict[str, float] = {}

    def start(_module, _inputs, name):
        started[name] = time.perf_counter()

    def stop(_module, _inputs, _output, name):
        times[name][-1] += 1000 * (time.perf_counter() - started[name])

    modules = [(name, module) for name, modules in called.items() for module in modules.values()]
    hooks = [module.register_forward_pre_hook(partial(start, name=name)) for name, module in modules]
    hooks += [module.register_forward_hook(partial(stop, name=name)) for name, module in modules]
    model.eval()
    try:
        for _ in range(repeats):
            for timings in times.values():
                timings.append(0.0)
            model(images)
    finally:
        for hook in hooks:
            hook.remove()
    counter = FlopCounterMode(display=False)
    with counter:
        model(images)
    flops = {key: sum(counts.values()) / 1e9 for key, counts in counter.get_flop_counts().items()}
    root = type(model).__name__
    rows = [
        {
            "part": name,
            "GFLOP": sum(flops.get(f"{root}.{path}", 0.0) for path in modules),
            "ms": statistics.median(times[name]),
        }
        for name, modules in called.items()
    ]
    return pd.DataFrame(rows)


def _called(name: str, child: nn.Module) -> dict[str, nn.Module]:
    """The modules that a forward pass calls, by dotted name: a ModuleList is only a container."""
    if isinstance(child, nn.ModuleList):
        return {f"{name}.{i}": module for i, module in enumerate(child)}
    return {name: child}


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
