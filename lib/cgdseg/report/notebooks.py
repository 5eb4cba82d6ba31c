"""The series of notebooks, each declared once: what it depends on, what it reads, what it waits for, for how long.

The Snakefile makes its rules from SERIES, the index takes its order, the tests hold it to the notebooks on disk."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from cgdseg import paths
from cgdseg.config import CGDSeg, Config, Run, SegNet, System, SystemSettings, UNet, load_config
from cgdseg.hashes import digest
from cgdseg.text import did_you_mean


@dataclass(frozen=True)
class Notebook:
    """What a notebook depends on beside its own text and the code it imports, and how it is run.

    Its settings are named, section by section: what is not in them may change without it."""

    settings: Callable[[Config, Run | None], Any] = lambda cfg, run: cfg
    reads: Callable[[Config], list[Path]] | None = None  # None: unknown, so it is never skipped
    systems: Callable[[Config, Run | None], list[SystemSettings]] = lambda cfg, run: []  # which it builds or runs
    after: tuple[str, ...] = ()
    encoders: bool = False  # whether it builds systems that take their texts from an encoder of our own
    priority: int = 0  # what others wait for goes first
    minutes: int = 60  # after which it is stopped
    gpu: bool = False


def sections(*names: str) -> Callable[[Config, Run | None], Any]:
    """The named sections of a config, and what its methods make of them."""

    def values(cfg: Config, run: Run | None) -> list:
        made = [cfg.label(name) for name in cfg.datasets], [cfg.protocol(name) for name in cfg.conditions]
        return [*(getattr(cfg, name) for name in names), *made]

    return values


EVERYTHING = ("datasets", "conditions", "systems", "seeds", "splits", "training", "evaluation")


def _audited(cfg: Config, run: Run | None) -> list:
    shown = [cfg.seeds[0], cfg.training.augment, cfg.training.stream]
    sizes = [cfg.input_sizes(), cfg.evaluation.size]
    return [*sections("datasets", "conditions", "splits")(cfg, None), sizes, shown, _source_folders(cfg)]


def _source_folders(cfg: Config) -> dict[str, str]:
    """Names, sizes and times of the files people bring; stand-ins are rendered from the config alone."""
    brought = {name: dataset.folder for name, dataset in cfg.datasets.items() if not dataset.stand_in}
    files = {name: sorted(path for path in folder.rglob("*") if path.is_file()) for name, folder in brought.items()}
    return {name: digest([[str(path), *path.stat()[6:9:2]] for path in found]) for name, found in files.items()}


def _measured(*patterns: str) -> list[Path]:
    """What benchmarks/ found out once; the table of the fault suite is read by people alone."""
    found = {path for pattern in patterns for path in paths.RESULTS.glob(pattern)}
    return sorted(path for path in found if path.stem != "faults")


def _split(cfg: Config) -> list[Path]:
    return [paths.manifest_csv(cfg.name), paths.splits_csv(cfg.name)]


def _scored(cfg: Config) -> list[Path]:
    return [paths.scores_csv(cfg.name), paths.references_csv(cfg.name)]


def _trained(cfg: Config) -> list[Path]:
    """The cards of all runs, and what stands beside them in every comparison."""
    return [*(paths.run_card(cfg.name, run.name) for run in cfg.runs()), paths.RELEASE / "run.json"]


def _every_system(cfg: Config, run: Run | None) -> list[SystemSettings]:
    """Those of the config and that of the release model."""
    card = paths.RELEASE / "run.json"
    released = [json.loads(card.read_text()).get("system")] if card.is_file() else []
    return [*cfg.systems.values(), *map(TypeAdapter(System).validate_python, released)]


def _there(name: str) -> list[Config]:
    """A config that a notebook looks into whatever it runs for, by value."""
    return [load_config(name)] if (paths.CONFIGS / f"{name}.yaml").is_file() else []


SERIES = {
    "01_data_audit": Notebook(settings=_audited, reads=lambda cfg: [paths.TEMPLATES / "data_card.md.j2"], minutes=720),
    "02_model": Notebook(
        settings=lambda cfg, run: [cfg.datasets, cfg.systems, CGDSeg(), SegNet(), _there("smoke")],
        reads=lambda cfg: [
            paths.manifest_csv(cfg.name),
            paths.CLAIMS,
            *_measured("transfer-*.csv", "looks.csv", "*.json"),
        ],
        systems=lambda cfg, run: [*cfg.cgdsegs().values(), CGDSeg(), SegNet()],
        after=("01_data_audit",),
        encoders=True,
    ),
    "03_training": Notebook(
        settings=lambda cfg, run: cfg.run_id(run),
        reads=_split,
        systems=lambda cfg, run: [cfg.systems[run.system]],
        after=("01_data_audit",),
        encoders=True,
        priority=1,  # trainings take longest, so they start first
        minutes=2880,
        gpu=True,
    ),
    "04_evaluation": Notebook(
        settings=sections(*EVERYTHING),
        reads=lambda cfg: [*_split(cfg), *_trained(cfg)],
        systems=_every_system,
        after=("01_data_audit", "03_training"),
        minutes=720,
        gpu=True,
    ),
    "05_domain_gap": Notebook(
        settings=sections(*EVERYTHING, "gap"),
        reads=lambda cfg: [
            *_split(cfg),
            *_scored(cfg),
            *_trained(cfg),
            *_measured("transfer-factors.csv", "transfer-circular.csv", "looks.csv"),
        ],
        systems=_every_system,
        after=("01_data_audit", "03_training", "04_evaluation"),
        minutes=720,  # it trains on, with real people
        gpu=True,
    ),
    "06_comparison": Notebook(
        settings=lambda cfg, run: [*sections(*EVERYTHING, "gap")(cfg, run), UNet(), _there("ssbc2026")],  # in claims
        reads=lambda cfg: [
            *[paths.manifest_csv(cfg.name), *_scored(cfg), *_trained(cfg)],
            *[paths.CLAIMS, paths.TEMPLATES / "model_card.md.j2"],
            *_measured("transfer-grounding.csv", "cost.csv", "*.json"),
        ],
        systems=lambda cfg, run: [*_every_system(cfg, run), CGDSeg(), UNet()],
        after=("01_data_audit", "04_evaluation"),
        minutes=240,
    ),
}


def check_series() -> None:
    """Refuse a notebook that the series does not name: it would never run, and nothing would say so. ValueError."""
    for path in sorted(paths.NOTEBOOKS.glob("[0-9]*.ipynb")):
        if path.stem not in SERIES:
            meant = did_you_mean(path.stem, SERIES)
            raise ValueError(f"nothing runs {path.stem}: declare it in SERIES of lib/cgdseg/report/notebooks.py{meant}")
