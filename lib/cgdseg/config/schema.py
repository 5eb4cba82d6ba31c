"""What a config holds: datasets, conditions, systems, and how they are split, trained on and scored.

Config(**settings) -> one frozen, validated model; its methods say what follows from them, such as its trainings."""

import difflib
import itertools
import re
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator, model_validator

from cgdseg.config.base import Settings, Size
from cgdseg.config.datasets import DESCRIPTIVE, Dataset
from cgdseg.config.systems import CGDSeg, Pretraining, System
from cgdseg.hashes import digest
from cgdseg.text import did_you_mean

Precision = Literal["no", "fp16", "bf16"]  # Accelerate's names; no: float32
Protocol = Literal["subject", "published"]


class Splits(Settings):
    """`subject` keeps a person in one part; `published` is the slides' 90/10 image split, tested on everything."""

    protocol: Protocol = "subject"
    protocols: dict[str, Protocol] = {}  # condition -> its protocol, where that is another one
    val_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.5  # of the real subjects; `subject` only
    real_repeats: PositiveInt = 3  # slide "Mixed Training Strategy"
    seed: int = 42


class Training(Settings):
    """Slides "Optimizer, Learning Rate, & Schedule" and "Loss Function"; batch_size is over all processes."""

    epochs: PositiveInt = 70
    steps: PositiveInt | None = None  # optimiser steps in all, an equal part an epoch; None: what the entries make
    batch_size: PositiveInt = 32
    lr: PositiveFloat = 1e-4
    lora_lr: PositiveFloat = 1e-5  # smaller: it moves a pretrained backbone
    min_lr: PositiveFloat = 1e-6
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    clip_norm: PositiveFloat = 1.0
    bce_weight: Annotated[float, Field(ge=0)] = 0.4
    dice_weight: Annotated[float, Field(ge=0)] = 0.6
    precision: Precision = "no"  # fp16 needs CUDA
    compile: bool = False  # torch.compile: minutes of waiting first, then faster steps; needs a C++ compiler on CPUs
    accumulate: PositiveInt = 1  # batches whose gradients are summed before a step: large batches in little memory
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0  # decay of averaged weights, which then are validated and kept
    patience: NonNegativeInt = 0  # stop after so many epochs without a better validation F1; 0: never
    augment: Literal["slides", "upright", "none"] = "slides"  # of files; upright: no vertical flips, no quarter turns
    stream: dict[str, PositiveInt] = {}  # condition -> entries an epoch, rendered afresh; with `steps`, what they take
    n_workers: NonNegativeInt = 0
    n_threads: PositiveInt = 1  # per process; fixed, because thread counts change floating-point sums

    @model_validator(mode="after")
    def _steps_share_out(self) -> Self:
        if self.steps and self.steps % self.epochs:
            raise ValueError(f"training.steps is {self.steps}: choose a multiple of the {self.epochs} training.epochs")
        return self

    @property
    def drawn(self) -> int | None:
        """Entries that an epoch draws where `steps` says how many; None: each entry once."""
        return self.steps and self.steps // self.epochs * self.accumulate * self.batch_size


class Evaluation(Settings):
    size: Size = (300, 400)  # the competition scores at 400x300 (width x height)
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    batch_size: PositiveInt = 16


class Gap(Settings):
    """Notebook 5: whose domain gap is taken apart, and how much work goes into it."""

    system: str | None = None  # None: the config's first
    condition: str = "synthetic"  # trained on synthetic eyes only
    images: PositiveInt = 200  # of each dataset at most, drawn at random, for features, factors and remedies
    permutations: PositiveInt = 1000  # of a test
    subjects: tuple[NonNegativeInt, ...] = (0, 1, 2, 5, 10, 20, 50)  # real people in training; too many: all there are
    seeds: PositiveInt = 3  # each draws its own people
    steps: PositiveInt = 600  # batches that every one of these trainings goes on for
    batch_size: PositiveInt | None = None  # of these batches; None: the training's own


class Run(Settings):
    """One training: a system, a condition and a seed."""

    system: str
    condition: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.training}-{self.seed}"

    @property
    def training(self) -> str:
        """What its seeds have in common."""
        return f"{self.system}-{self.condition}"


class Config(Settings):
    name: str
    datasets: dict[str, Dataset]
    conditions: dict[str, tuple[str, ...]]  # condition -> datasets it trains on
    systems: Annotated[dict[str, System], Field(min_length=1)]
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (42,)
    splits: Splits = Splits()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    gap: Gap = Gap()
    workers: PositiveInt = 2  # processes that render, decode and hash

    @field_validator("name")
    @classmethod
    def _names_folders(cls, name: str) -> str:
        if not re.fullmatch(r"[\w+-][\w.+ -]*", name) or re.fullmatch(r"[\d.+eE_-]*", name):
            raise ValueError(f"a config cannot be called {name!r}: use letters, digits, spaces and . _ + - only")
        return name

    @field_validator("datasets")
    @classmethod
    def _are_plain_names(cls, datasets: dict[str, Dataset]) -> dict[str, Dataset]:
        for name in datasets:
            if not re.fullmatch(r"[\w.+ -]+", name):
                raise ValueError(f"dataset name {name!r}: use letters, digits, spaces and . _ + - only")
        return datasets

    @field_validator("conditions", "systems")
    @classmethod
    def _make_file_names(cls, named: dict) -> dict:
        for name in named:
            if not re.fullmatch(r"\w+", name, re.ASCII):
                raise ValueError(f"name {name!r}: use letters, digits and _ only, as it becomes part of file names")
        return named

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        for condition, names in self.conditions.items():
            for name in names:
                if name not in self.datasets:
                    known = did_you_mean(name, self.datasets)
                    raise ValueError(f"condition {condition} names the dataset {name}{known}")
                if self.datasets[name].test_only:
                    raise ValueError(f"condition {condition} trains on {name}, which is test_only: drop one of the two")
        for setting, named in (("training.stream", self.training.stream), ("splits.protocols", self.splits.protocols)):
            for condition in named:
                if condition not in self.conditions:
                    known = did_you_mean(condition, self.conditions)
                    raise ValueError(f"{setting} names the condition {condition}{known}")
        if self.gap.system not in {None, *self.systems}:
            raise ValueError(f"gap.system is {self.gap.system}{did_you_mean(self.gap.system, self.systems)}")
        return self

    def runs(self) -> list[Run]:
        """Every training the config asks for: systems x conditions x seeds."""
        combinations = itertools.product(self.systems, self.conditions, self.seeds)
        return [Run(system=s, condition=c, seed=seed) for s, c, seed in combinations]

    def run(self, system: str, condition: str, seed: int) -> Run:
        """Return one of `runs()`; ValueError lists them when there is no such run."""
        run = Run(system=system, condition=condition, seed=seed)
        if run not in self.runs():
            names = [r.name for r in self.runs()]
            close = difflib.get_close_matches(run.name, names, n=1)
            meant = f"; did you mean {close[0]}?" if close else ""
            raise ValueError(f"config {self.name} has no run {run.name}; it has: {', '.join(names)}{meant}")
        return run

    def streamed(self, run: Run) -> int:
        """Entries an epoch that are rendered afresh for a run; 0 where it reads files."""
        asked = self.training.stream.get(run.condition, 0)
        return asked and (self.training.drawn or asked)

    def protocol(self, condition: str) -> Protocol:
        """How a condition's images are split."""
        return self.splits.protocols.get(condition, self.splits.protocol)

    def cgdsegs(self) -> dict[str, CGDSeg]:
        """The systems that are forms of CGDSeg, by name."""
        return {name: system for name, system in self.systems.items() if system.kind == "cgdseg"}

    def departures(self) -> str:
        """Which systems bear the slides' name without being theirs, in a sentence each; "" where all are."""
        found = {name: system.departures() for name, system in self.cgdsegs().items()}
        return " ".join(f"{name} is not the slides' CGDSeg: {', '.join(what)}." for name, what in found.items() if what)

    def label(self, dataset: str) -> str:
        """The dataset's name as tables and figures print it; stand-ins are marked."""
        return f"{dataset} stand-in" if self.datasets[dataset].stand_in else dataset

    def input_sizes(self) -> list[Size]:
        return sorted({system.input_size for system in self.systems.values()})

    def run_id(self, run: Run) -> str:
        """`run.name` and a hash of everything in the config that shapes the trained weights."""
        splits = self.splits.model_dump(mode="json", exclude={"protocols"})  # how others are split is not in it
        trained_on = self.conditions[run.condition]
        recipe = {
            "datasets": {name: self.datasets[name].model_dump(mode="json", exclude=DESCRIPTIVE) for name in trained_on},
            "system": self.systems[run.system],
            "splits": splits | {"protocol": self.protocol(run.condition)},
            "training": self.training.model_copy(update={"n_workers": 0, "stream": {}}),  # the workers change nothing
            "stream": self.streamed(run),
            "seed": run.seed,
        }
        return f"{run.name}-{digest(recipe)[:8]}"

    def text_encoders(self, run: Run | None = None) -> list[Pretraining]:
        """The text encoders of our own that the systems take their texts from, or that of one run."""
        systems = [self.systems[run.system]] if run else self.systems.values()
        texts = [system.text for system in systems if hasattr(system, "text")]
        return list(dict.fromkeys(text.pretraining for text in texts if text.source == "rendered"))
