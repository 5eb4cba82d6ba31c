"""The registry: the settings of a system name its module (`built_by`), which is imported when it is asked for.

A system is one module with `build(settings)`, which returns an nn.Module, images (B, 3, H, W) in [0, 1] -> logits
(B, K, H, W), and `parts(model)`, its parameters by part. What else it may say of itself stands in DEFAULTS."""

import importlib
from collections.abc import Callable

from torch import nn

from cgdseg.config import System

DEFAULTS: dict[str, Callable] = {
    "offline": lambda settings, model: settings,  # settings that rebuild a model for its checkpoint, without a hub
    "without_weights": lambda settings: settings,  # the same shape, without a download
    "beside": lambda settings: {},  # parameters by part that run once, beside the module
}


def of_system(settings: System, name: str) -> Callable:
    """What the module of a system has under `name`, or the default. ValueError where it lacks what it must have."""
    module = importlib.import_module(settings.built_by)
    if not hasattr(module, name) and name not in DEFAULTS:
        raise ValueError(f"{settings.built_by}, which builds the kind {settings.kind}, has no {name}: add it")
    return getattr(module, name, None) or DEFAULTS[name]


def build_system(settings: System) -> nn.Module:
    """An untrained network of these settings."""
    return of_system(settings, "build")(settings)


def offline_settings(settings: System, model: nn.Module) -> System:
    """Settings that rebuild `model` from its own checkpoint, without a hub."""
    return of_system(settings, "offline")(settings, model)


def without_weights(settings: System) -> System:
    """Settings of the same shape that need no download."""
    return of_system(settings, "without_weights")(settings)
