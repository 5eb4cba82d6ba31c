"""What benchmarks/ measured once, as tables and in words: studies of what transfers, speeds, peers."""

import json

import numpy as np
import pandas as pd

from cgdseg.paths import RESULTS
from cgdseg.scoring.intervals import Sample, estimate
from cgdseg.scoring.statistics import holm
from cgdseg.studies.phrasing import in_points

SETS = {"photos": "photo-like F1", "rendered": "rendered eyes F1"}  # the first that a study has judges its variants
CODE_FORMS = {  # of benchmarks/
    "theirs": "the slides' code",
    "theirs, memory kept": "the slides' code, freed memory kept",
    "ours": "ours, float32",
    "ours bf16": "ours, bf16",
    "ours compiled": "ours, float32, compiled",
    "ours bf16 compiled": "ours, bf16, compiled",
}


def transfer(rows: pd.DataFrame, baseline: str | dict[str, str]) -> pd.DataFrame:
    """A study of benchmarks/transfer.py, a row a variant: F1 on photo-like eyes, its change against the baseline
    variant with a 95 % interval over seeds and images, its p, also adjusted for all rows (Holm), and F1 on rendered
    eyes. The most harmful change comes first.

    Where no photo-like eyes were scored, the change is that on rendered eyes. A dict gives some variants a baseline
    each, and only those have a row."""
    means = rows.groupby(["variant", "set"]).f1.mean().unstack().rename(columns=SETS)
    judge = next(name for name in SETS if (rows.set == name).any())
    judged = rows[rows.set == judge].set_index(["seed", "image"])
    found, pairs = [], baseline if isinstance(baseline, dict) else dict.fromkeys(means.index, baseline)
    for variant, other in pairs.items():
        change = (judged.f1[judged.variant == variant] - judged.f1[judged.variant == other]).dropna()
        seeds, images = (change.index.get_level_values(name) for name in ("seed", "image"))
        row = {"variant": variant, SETS[judge]: means.loc[variant, SETS[judge]], "change": change.mean()}
        row |= dict.fromkeys(("low", "high", "p", "p (Holm)"), np.nan)
        if variant != other:
            moved = estimate(Sample(change, images, trainings=seeds))
            row |= dict(zip(("low", "high", "p"), (*moved.interval(), moved.p()), strict=True))
        found.append(
            row | {**means.loc[variant].drop(SETS[judge]), "images": images.nunique(), "seeds": seeds.nunique()}
        )
    table = pd.DataFrame(found).sort_values("change", ignore_index=True)
    table["p (Holm)"] = holm(table.p.to_numpy(float))
    if isinstance(baseline, dict):
        return table
    return pd.concat([table[table.variant == baseline], table[table.variant != baseline]], ignore_index=True)


def judged_on(table: pd.DataFrame) -> str:
    """What the first score of `transfer` was taken on, in words that say how far it may be trusted."""
    images = table.images.max()
    if table.columns[1] != SETS["photos"]:
        return f"{images} rendered eyes"
    looks = pd.read_csv(RESULTS / "looks.csv")
    return (
        f"{images} photo-like eyes, generated and not photographed: a development set, on which "
        f"{looks.models.sum()} models had been scored while the renderer was made"
    )


def side_forms(name: str) -> pd.DataFrame:
    """The forms that benchmarks/results/<name>.json compares: milliseconds an image, times faster than the slides'
    code, and the most memory held."""
    result = measured(name)
    table = pd.DataFrame({"ms an image": result["ms_an_image"], "peak MiB": result["peak_MiB"]})
    table.insert(1, "times faster", table["ms an image"]["theirs"] / table["ms an image"])
    return table.rename_axis("form").reset_index().replace({"form": CODE_FORMS})


def measured(name: str) -> dict:
    """What benchmarks/<name>.py found, with the `machine` it ran on."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def peers() -> pd.DataFrame:
    """benchmarks/results/peers.json: parameters, operations and time of each peer at the study's size."""
    return pd.DataFrame(measured("peers")["peers"])


def input_pipeline() -> pd.DataFrame:
    """benchmarks/results/input_pipeline.json in rows: quantity, value, unit."""
    found = measured("input_pipeline")
    rows = [("an image decoded from PNG", found["ms_an_image"]["decoded"], "ms")]
    rows += [("an image from the cache", found["ms_an_image"]["cached"], "ms"), ("times faster", found["ratio"], "")]
    rows += [(f"most held, {case}", value, "MiB") for case, value in found["peak_MiB"].items()]
    return pd.DataFrame(rows, columns=["quantity", "value", "unit"])


def read_transfer(table: pd.DataFrame, level: float = 0.05) -> str:
    """A study of benchmarks/transfer.py (`transfer`) in words; p, adjusted by Holm, is held against `level`."""
    base, rest, judged = table.iloc[0], table.iloc[1:], table.columns[1]
    sure = rest[rest["p (Holm)"] < level]
    lines = [f"- {row.variant}: {in_points(row.change, row.low, row.high)}" for row in sure.itertuples()]
    start = f"The baseline, {base.variant}, reaches F1 {base[judged]:.3f} on {judged_on(table)}. "
    unsure = f"Of {len(rest)} changes {len(lines)} can be told from zero when all are counted (Holm)"
    return start + (f"{unsure}:\n\n" + "\n".join(lines) if lines else f"{unsure}.")


def read_language(table: pd.DataFrame, level: float = 0.05) -> str:
    """What language brings over random text in the same form of grounding (`transfer`, a baseline each)."""
    sure = table["p (Holm)"] < level
    helped, harmed = table[sure & (table.change > 0)], table[sure & (table.change < 0)]
    if helped.empty and harmed.empty:
        widest = 100 * table[["low", "high"]].abs().to_numpy().max()
        return (
            f"In none of the {len(table)} forms can language be told from random text (Holm), "
            f"and the widest interval reaches {widest:.1f} points."
        )
    found = {"helps": helped, "harms": harmed}
    parts = [f"{word} in {', '.join(rows.variant)}" for word, rows in found.items() if len(rows)]
    return f"Against random text language {' and '.join(parts)}; the other forms cannot be told from it (Holm)."
