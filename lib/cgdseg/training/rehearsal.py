"""A rehearsal of one training: its recipe at full size, without its data, downloads or files.

rehearse(cfg, run) -> what the first steps cost and gave; rehearsal_lines(result) -> the lines that say so."""

import resource
import sys
import time

import numpy as np
import torch

from cgdseg.config import Config, Run, StandIn, Training
from cgdseg.data.batches import RenderedEyes
from cgdseg.models.inspect import parameter_counts
from cgdseg.models.memory import keep_freed_memory
from cgdseg.models.registry import without_weights
from cgdseg.training.objectives import Segmentation
from cgdseg.training.session import make_loader, new_learner, open_session, start_accelerator, train_step

REHEARSED_STEPS = 2  # the first also warms up
ANY_LOOK = StandIn(look="randomised", n_images=1)  # for datasets that have no look of their own


def rehearse(cfg: Config, run: Run) -> dict[str, object]:
    """Train REHEARSED_STEPS steps on rendered eyes, from random weights, and say what they cost; writes nothing.

    Seconds are those of a step alone: eyes are rendered between the steps. The peak is this process's, or its GPU's."""
    settings, wanted = _for_this_machine(cfg.training), cfg.training.precision
    torch.set_num_threads(settings.n_threads)
    keep_freed_memory()
    cfg = _with_rendered_eyes(cfg, run, REHEARSED_STEPS * settings.accumulate * settings.batch_size)
    system, counts = cfg.systems[run.system], parameter_counts(cfg.systems[run.system])
    system = without_weights(system)
    accelerator = start_accelerator(settings)
    loader = make_loader(accelerator, RenderedEyes(cfg, run), settings, run.seed)
    objective = Segmentation(system, settings)
    learner = new_learner(accelerator, objective, settings, run.seed)
    session = open_session(accelerator, learner, objective, settings)
    first_rates = learner.scheduler.get_last_lr()

    session.model.train()
    losses, seconds = [], []
    for batch in loader:
        start = time.perf_counter()
        losses.append(train_step(session, batch, "the rehearsal").item())  # which waits for the GPU
        seconds.append(time.perf_counter() - start)
    for _ in range(settings.epochs - 1):
        learner.scheduler.step()
    return {
        "parameters": counts["total"],
        "trainable": counts["trainable"],
        "input size": "x".join(map(str, system.input_size)) + " (height x width)",
        "batch": settings.batch_size,
        "processes": accelerator.num_processes,
        "precision": settings.precision + (" (fp16 needs CUDA)" if settings.precision != wanted else ""),
        "losses": np.reshape(losses, (REHEARSED_STEPS, -1)).mean(1).tolist(),
        "seconds per step": np.reshape(seconds, (REHEARSED_STEPS, -1)).sum(1).tolist(),
        "peak memory in GB": _peak_bytes(accelerator.device) / 1e9,
        "learning rates, first epoch": first_rates,
        "learning rates, last epoch": learner.scheduler.get_last_lr(),
    }


def rehearsal_lines(result: dict[str, object]) -> str:
    """A line for each thing found out."""
    lines = [f"{name:28} {_words(value)}" for name, value in result.items()]
    return "\n".join([*lines, "nothing was written"])


def _words(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _for_this_machine(settings: Training) -> Training:
    """As many steps as are rehearsed, no more threads than cores, eyes rendered in this process, and bf16 in place of
    fp16 where there is no CUDA."""
    changes = {"steps": None, "n_workers": 0, "n_threads": min(settings.n_threads, torch.get_num_threads())}
    if settings.precision == "fp16" and not torch.cuda.is_available():
        changes["precision"] = "bf16"  # half the memory of float32 too
    return settings.model_copy(update=changes)


def _with_rendered_eyes(cfg: Config, run: Run, n: int) -> Config:
    """The config with n eyes an epoch rendered for this run, whatever its datasets are."""
    datasets = {
        name: dataset if dataset.stand_in else dataset.model_copy(update={"stand_in": ANY_LOOK})
        for name, dataset in cfg.datasets.items()
    }
    training = cfg.training.model_copy(update={"stream": {run.condition: n}})
    return cfg.model_copy(update={"datasets": datasets, "training": training})


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # bytes there, KiB elsewhere
