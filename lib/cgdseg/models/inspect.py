"""A model taken apart: parameters and cost by part, and every module's output on one batch."""

import statistics
import time
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cgdseg.config import System
from cgdseg.models.registry import build_system, of_system, without_weights


def parameter_table(settings: System, model: nn.Module) -> pd.DataFrame:
    """One row a part: part, parameters, trainable."""
    rows = [
        {
            "part": part,
            "parameters": sum(p.numel() for p in parameters),
            "trainable": sum(p.numel() for p in parameters if p.requires_grad),
        }
        for part, parameters in of_system(settings, "parts")(model).items()
    ]
    return pd.DataFrame(rows)


def parameter_counts(settings: System) -> dict[str, int]:
    """Trainable and total parameters, and those of each part by its name in lower case; nothing is downloaded.

    `total` counts what runs once beside the module too, such as CGDSeg's text tower, as the slides do."""
    table = parameter_table(settings, build_system(without_weights(settings)))
    parts = dict(
        zip(table.part.str.lower().str.replace(r"\W", "_", regex=True), table.parameters.tolist(), strict=True)
    )
    parts |= of_system(settings, "beside")(settings)
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
