"""Everything a config trained, side by side: what a run scores, what it costs, how large it is; and claims by cause.

scores of notebook 04 and the runs' histories -> tables, a row a run and test set."""

import statistics
import time

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from cgdseg import paths
from cgdseg.config import Config, System
from cgdseg.data.cache import open_cache
from cgdseg.data.stored import part_ids
from cgdseg.models import inspect
from cgdseg.models.contract import Predictor
from cgdseg.models.predictor import load_segmenter
from cgdseg.models.weights import read_run
from cgdseg.models.zoo.baselines import BASELINES
from cgdseg.training.runs import lengths, segmenter_of, trained_runs

SCORE_COLUMNS = ["run", "system", "condition", "seeds", "dataset", "f1", "low", "high", "images", "subjects"]
COSTS = ["parameters", "trainable", "steps", "images seen", "training minutes", "ms an image"]


def compare_trainings(summary: pd.DataFrame, references: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """A row a run and test set: SCORE_COLUMNS, then COSTS; what needed no training comes last, as far as known.

    summary, references: `summaries.mean_scores` of scores.csv (of a run each, or `over_seeds`) and of references.csv;
    costs: `measure_costs`. F1 is the mean over images with a 95 % interval."""
    scored = pd.concat([summary, references], ignore_index=True)
    table = scored[scored.part == "test"].join(costs, on="run", validate="many_to_one")
    return table[[*SCORE_COLUMNS, *COSTS]].reset_index(drop=True)


def trainings_for_reading(table: pd.DataFrame) -> pd.DataFrame:
    """`compare_trainings` without what other columns say already."""
    names = {"dataset": "test set", "f1": "F1", "training minutes": "minutes", "ms an image": "ms"}
    told = ["system", "condition", *(["trainable"] if table.trainable.equals(table.parameters) else [])]
    return table.drop(columns=told).rename(columns=names)


def measure_costs(cfg: Config, n_timed: int = 8) -> pd.DataFrame:
    """COSTS of every trained run, of every training over its seeds, and of the references, by name.

    ms: one image at a time on this machine, the median of `n_timed`, measured once a training."""
    images, spent, rows = sample_images(cfg, n_timed), lengths(cfg), {}
    for run in trained_runs(cfg):
        if run.training not in rows:
            counts = inspect.parameter_counts(cfg.systems[run.system])
            speed = median_milliseconds(segmenter_of(cfg, run), images)
            own = {"parameters": counts["total"], "trainable": counts["trainable"], "ms an image": speed}
            rows[run.training] = own
        rows[run.name] = rows[run.training]
    known = pd.DataFrame.from_dict(rows, orient="index").join(spent)
    return pd.concat([known, pd.DataFrame.from_dict(reference_costs(images), orient="index")])[COSTS]


def sample_images(cfg: Config, n: int) -> list[np.ndarray]:
    """The first n test images (H, W, 3) uint8 at the size that scores are taken at."""
    pixels = open_cache(cfg, cfg.evaluation.size)
    ids = part_ids(cfg, next(iter(cfg.conditions)), "test")[:n]
    return [np.array(pixels.images[pixels.row(image_id)]) for image_id in ids]


def reference_costs(images: list[np.ndarray]) -> dict[str, dict[str, float]]:
    """COSTS of the release model and of what learned nothing; the release was trained elsewhere."""
    release, card = load_segmenter(paths.RELEASE), read_run(paths.RELEASE)
    count = inspect.parameter_counts(TypeAdapter(System).validate_python(card["system"]))["total"]
    unknown = [pd.NA, pd.NA, float("nan")]
    found = {"release": (count, count, *unknown, median_milliseconds(release, images))}
    found |= {name: (0, 0, 0, 0, 0.0, median_milliseconds(rule, images)) for name, rule in BASELINES.items()}
    return {name: dict(zip(COSTS, values, strict=True)) for name, values in found.items()}


def median_milliseconds(predictor: Predictor, images: list[np.ndarray]) -> float:
    """Median time of one image, after one that does not count."""
    predictor.predict(images[:1], ("sclera",))
    times = []
    for image in images:
        start = time.perf_counter()
        predictor.predict([image], ("sclera",))
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def read_comparison(table: pd.DataFrame) -> str:
    """`compare_trainings`: which training does best on each test set, and what is within its interval."""
    lines = []
    for dataset, rows in table.groupby("dataset", sort=False):
        trained = rows[rows.seeds > 0].sort_values("f1", ascending=False)
        best = trained.iloc[0]
        people = f" of {best.subjects} people" if best.subjects > 1 else ""
        close = trained.run.iloc[1:][trained.f1.iloc[1:] >= best.low]
        within = f"; within its interval: {', '.join(close)}" if len(close) else ""
        others = rows[rows.seeds == 0].sort_values("f1", ascending=False)
        listed = ", ".join(f"{row.run} {row.f1:.3f}" for row in others.itertuples())
        beside = f"; beside it {listed}" if listed else ""
        between = "" if pd.isna(best.low) else f" ({best.low:.3f} to {best.high:.3f})"
        score = f"F1 {best.f1:.3f}{between} on {best.images} images{people}"
        lines.append(f"- **{dataset}**: {best.run} does best, with {score}{within}{beside}.")
    return "\n".join(lines)


def read_costs(table: pd.DataFrame) -> str:
    """`compare_trainings`: the span of what trainings cost."""
    runs = table[table.seeds > 0].drop_duplicates("run")
    if runs["training minutes"].isna().all():
        return "No history of a training is left, so its minutes are unknown."
    most, least = (runs.loc[getattr(runs["training minutes"], which)()] for which in ("idxmax", "idxmin"))
    slow, fast = (runs.loc[getattr(runs["ms an image"], which)()] for which in ("idxmax", "idxmin"))
    return (
        f"The longest training, {most.run}, took {most['training minutes']:.1f} minutes, the shortest, {least.run}, "
        f"{least['training minutes']:.1f}. One image takes {slow.run} {slow['ms an image']:.0f} ms and {fast.run} "
        f"{fast['ms an image']:.0f} ms on this machine."
    )
