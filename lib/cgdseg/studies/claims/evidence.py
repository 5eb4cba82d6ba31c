"""What checks may look at: the ledger itself, a config's runs and data, and CGDSeg at the paper's size.

Everything is read or computed when a check asks for it, once."""

from dataclasses import dataclass, field
from functools import cache, cached_property

import pandas as pd
import torch

from cgdseg.config import Config, load_config
from cgdseg.data import splits
from cgdseg.data.stored import load_manifest
from cgdseg.models import inspect, registry
from cgdseg.models.cgdseg import CGDSeg
from cgdseg.studies.anatomy.cgdseg import paper_size
from cgdseg.studies.claims.ledger import Claim, Value, load_claims
from cgdseg.studies.scores.summaries import mean_scores

NO_SCORES = pd.DataFrame(columns=["run", "system", "condition", "part", "dataset", "label", "subject", "f1", "iou"])
PEOPLE = {"SynCROI": 11_000, "MASD": 82, "SBVPI": 55}  # as published; the slides' split by images does without


@dataclass(frozen=True)
class Evidence:
    """`scores` has a row an image and run (`evaluation.evaluate_runs`); without it, only code and arithmetic speak."""

    cfg: Config
    scores: pd.DataFrame = field(default_factory=NO_SCORES.copy)
    claims: list[Claim] = field(default_factory=load_claims)

    @cached_property
    def numbers(self) -> dict[str, float]:
        """The numeric claims, by id: what formulas may name."""
        return {claim.id: claim.value for claim in self.claims if type(claim.value) is float}

    def claimed(self, name: str) -> Value:
        """What the claim of that id says."""
        return next(claim.value for claim in self.claims if claim.id == name)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Mean and pooled scores by run, part and dataset; empty without scores."""
        return mean_scores(self.scores) if len(self.scores) else NO_SCORES

    @cached_property
    def manifest(self) -> pd.DataFrame | None:
        """The config's images; None before notebook 01."""
        try:
            return load_manifest(self.cfg)
        except FileNotFoundError:
            return None

    @cached_property
    def slides_splits(self) -> pd.DataFrame:
        """This code's splits, by both protocols, of data sets with as many pairs as the slides count."""
        tables = []
        for name, people in PEOPLE.items():
            n = int(self.numbers[f"{name.lower()}_pairs"])
            held_back = int(self.numbers["syncroi_val"]) if name == "SynCROI" else 0
            table = pd.DataFrame({"image_id": [f"{name}/{i}" for i in range(n)], "dataset": name})
            table["subject"] = [f"{name}-{i % people}" for i in range(n)]
            table["part"] = ["Training"] * (n - held_back) + ["Validation"] * held_back
            tables.append(table.assign(domain="synthetic" if name == "SynCROI" else "real"))
        return splits.make_splits(pd.concat(tables, ignore_index=True), paper_config())

    def is_real(self, dataset: str) -> bool:
        """Whether the config holds the dataset itself, not a stand-in."""
        return dataset in self.cfg.datasets and self.cfg.datasets[dataset].stand_in is None


@cache
def paper() -> CGDSeg:
    """CGDSeg as the slides describe it, with random weights; what follows from shapes alone holds for any weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return registry.build_system(paper_size()).eval()


@cache
def paper_trace() -> dict:
    """Every module's output on one random image, by dotted name."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return inspect.trace(paper(), torch.rand(1, 3, 256, 256))


@cache
def paper_config() -> Config:
    """The slides' recipe as a config: what `cgdseg reports ssbc2026` trains."""
    return load_config("ssbc2026")
