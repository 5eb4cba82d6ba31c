"""Is "trained on randomised eyes" a remedy, or a look at the test? One renderer draws the stand-ins and those eyes.

shared_ranges(cfg) -> how many of a stand-in's ranges a training has seen; apart(study) -> what is left of its gain when
it has seen none of them (benchmarks/transfer.py circular)."""

import numpy as np
import pandas as pd

from cgdseg.config import Config
from cgdseg.data.standins import stand_in_factors
from cgdseg.eyes.factors import Factors
from cgdseg.eyes.looks import LOOKS
from cgdseg.scoring.intervals import Sample, interval
from cgdseg.studies.phrasing import in_points

VARIED, NARROW = "everything", "syncroi"  # variants of the study: all ranges wide, and one clean look


def shared_ranges(cfg: Config) -> pd.DataFrame:
    """A row a rendered training condition and test stand-in; empty where nothing is rendered.

    Columns: condition, dataset, ranges (in which the two looks differ), inside (how many of the stand-in's lie inside
    the condition's)."""
    rows = []
    looks = {name: stand_in_factors(dataset.stand_in) for name, dataset in cfg.datasets.items() if dataset.stand_in}
    for condition, names in cfg.conditions.items():
        for target in [name for name in looks if cfg.datasets[name].domain == "real" and name not in names]:
            for source in [name for name in names if name in looks]:
                pairs = _ranges(looks[source], looks[target])
                inside = sum(low <= inner_low and inner_high <= high for (low, high), (inner_low, inner_high) in pairs)
                row = {"condition": condition, "dataset": cfg.label(target), "ranges": len(pairs), "inside": inside}
                rows.append(row)
    return pd.DataFrame(rows, columns=["condition", "dataset", "ranges", "inside"])


def _ranges(source: Factors, target: Factors) -> list[tuple]:
    both = [(getattr(source, name), ends) for name, ends in target if isinstance(ends, tuple) and name != "spread"]
    return [(own, theirs) for own, theirs in both if own != theirs]


def apart(study: pd.DataFrame) -> pd.DataFrame:
    """A row a target look: F1 of a small U-Net trained on one narrow look, on everything varied, and on everything
    apart from the target's ranges; the change from second to third with its 95 % interval over eyes and seeds.

    Columns: target, "F1, one look", "F1, everything", "F1, apart", change, low, high, images, seeds."""
    rows = []
    for target in [name for name in study.set.unique() if name in LOOKS]:
        mine = study[study.set == target]
        variants = {"one look": NARROW, "everything": VARIED, "apart": f"apart from {target}"}
        f1 = {name: mine[mine.variant == variant] for name, variant in variants.items()}
        samples = [
            Sample(f1[name].f1, f1[name].image, trainings=name + f1[name].seed.astype(str))
            for name in ("apart", VARIED)
        ]
        row = {"target": target, **{f"F1, {name}": own.f1.mean() for name, own in f1.items()}}
        row |= {"change": row["F1, apart"] - row["F1, everything"]}
        row |= dict(zip(("low", "high"), interval(*samples, of=np.subtract), strict=True))
        rows.append(row | {"images": mine.image.nunique(), "seeds": mine.seed.nunique()})
    return pd.DataFrame(rows)


def read_shared(shared: pd.DataFrame) -> str:
    """`shared_ranges` in words, where a training has seen most of a test set's ranges; "" where none has."""
    seen = shared[2 * shared.inside > shared.ranges]
    if seen.empty:
        return ""
    listed = "; ".join(
        f"{row.condition} has seen {row.inside} of the {row.ranges} ranges that make the look of {row.dataset}"
        for row in seen.itertuples()
    )
    return f"One renderer draws what is trained on and what is tested: {listed}. That is no test on unlike eyes."


def read_apart(table: pd.DataFrame) -> str:
    """`apart` in words."""
    lines = [
        f"- {row.target}: {in_points(row.change, row.low, row.high)}, from F1 {row['F1, everything']:.3f} to "
        f"{row['F1, apart']:.3f}; one clean look gives {row['F1, one look']:.3f}."
        for _, row in table.iterrows()
    ]
    worse = (table["F1, apart"] < table["F1, one look"]).sum()
    return (
        "What is left when no range of the target is trained on:\n\n"
        + "\n".join(lines)
        + "\n\nWith all ranges left out "
        f"at once, the hardest case, variation does worse than one clean look in {worse} of {len(table)}: what it wins "
        "on the stand-ins it wins by having drawn eyes like them."
    )
