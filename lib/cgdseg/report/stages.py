"""Every notebook, declared once: which settings it depends on, what it reads, what runs before it and for how long.

The Snakefile makes its rules from STAGES, the index its order, and the tests hold both to the notebooks on disk."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgdseg import paths
from cgdseg.config.schema import Config, Run
from cgdseg.hashes import digest


@dataclass(frozen=True)
class Stage:
    """What a notebook depends on beside its own text and the code it imports."""

    settings: Callable[[Config, Run | None], Any] = lambda cfg, run: cfg
    reads: Callable[[Config], list[Path]] | None = None  # None: unknown, so it is never skipped


def _source_folders(cfg: Config) -> dict[str, str]:
    """Names, sizes and times of the files people bring; stand-ins are rendered from the config alone."""
    brought = {name: dataset.folder for name, dataset in cfg.datasets.items() if not dataset.stand_in}
    files = {name: sorted(path for path in folder.rglob("*") if path.is_file()) for name, folder in brought.items()}
    return {name: digest([[str(path), *path.stat()[6:9:2]] for path in found]) for name, found in files.items()}


def _measured(pattern: str) -> list[Path]:
    """What benchmarks/ found out once; the table of the fault suite is read by people alone."""
    return sorted(path for path in paths.RESULTS.glob(pattern) if path.stem != "faults")


STAGES = {
    "01_data_audit": Stage(
        lambda cfg, run: [
            *[cfg.datasets, cfg.conditions, cfg.splits, cfg.input_sizes(), cfg.evaluation.size],
            _source_folders(cfg),
        ],
        lambda cfg: [],
    ),
    "02_model": Stage(
        lambda cfg, run: [cfg.datasets, cfg.systems],
        lambda cfg: [paths.manifest_csv(cfg.name), paths.CLAIMS, *_measured("transfer-*.csv"), *_measured("*.json")],
    ),
    "03_training": Stage(
        lambda cfg, run: cfg.run_id(run),
        lambda cfg: [paths.manifest_csv(cfg.name), paths.splits_csv(cfg.name)],
    ),
    "04_evaluation": Stage(
        reads=lambda cfg: [
            *[paths.manifest_csv(cfg.name), paths.splits_csv(cfg.name)],
            *[paths.run_card(cfg.name, run.name) for run in cfg.runs()],
            paths.RELEASE / "run.json",
        ],
    ),
    "05_domain_gap": Stage(
        reads=lambda cfg: [
            *[paths.scores_csv(cfg.name), paths.references_csv(cfg.name)],
            *[paths.manifest_csv(cfg.name), paths.splits_csv(cfg.name)],
            *[paths.run_card(cfg.name, run.name) for run in cfg.runs()],
            *[paths.RELEASE / "run.json", paths.RESULTS / "transfer-factors.csv"],
        ],
    ),
    "06_comparison": Stage(
        reads=lambda cfg: [
            *[paths.manifest_csv(cfg.name), paths.scores_csv(cfg.name), paths.references_csv(cfg.name)],
            *[paths.run_card(cfg.name, run.name) for run in cfg.runs()],
            *[paths.CLAIMS, paths.CONFIGS / "ssbc2026.yaml", paths.RELEASE / "run.json"],
            *[paths.RESULTS / "transfer-grounding.csv", paths.RESULTS / "cost.csv", *_measured("*.json")],
        ],
    ),
}
