"""Everything a config trained, side by side: what a run scores, what it costs, how large it is; and claims by cause.

scores of notebook 04 and the runs' histories -> tables, a row a run and test set."""

import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from cgdseg import evaluation, paths, systems
from cgdseg.baselines import BASELINES
from cgdseg.config import Config, Run, System
from cgdseg.data.cache import open_cache
from cgdseg.data.splits import part_ids
from cgdseg.inference import load_segmenter
from cgdseg.progress import HISTORY, read_history
from cgdseg.training import read_run, run_dir

COLUMNS = ["run", "system", "condition", "seed", "dataset", "f1", "low", "high", "images", "subjects"]
COSTS = ["parameters", "trainable", "training minutes", "ms an image"]


def compare(cfg: Config, summary: pd.DataFrame, references: pd.DataFrame, n_timed: int = 8) -> pd.DataFrame:
    """A row a run and test set: COLUMNS, then COSTS; what needed no training here comes last, with what is known of it.

    summary, references: `evaluation.cross_domain` of scores.csv and of references.csv. F1 is the mean over images with
    a 95 % interval over subjects. ms an image: one image at a time on this machine, the median of `n_timed`."""
    runs = {run.name: run for run in evaluation.trained_runs(cfg)}
    images = sample_images(cfg, n_timed)
    rows = [{"run": name, "seed": run.seed, **run_costs(cfg, run, images)} for name, run in runs.items()]
    rows += [{"run": name, **costs} for name, costs in reference_costs(images).items()]
    scored = pd.concat([summary, references], ignore_index=True)
    table = scored[scored.part == "test"].merge(pd.DataFrame(rows), on="run", how="left", validate="many_to_one")
    return table[[*COLUMNS, *COSTS]]


def for_reading(table: pd.DataFrame) -> pd.DataFrame:
    """`compare` without what other columns say already."""
    names = {"dataset": "test set", "f1": "F1", "training minutes": "minutes", "ms an image": "ms"}
    told = ["system", "condition", *(["trainable"] if table.trainable.equals(table.parameters) else [])]
    return table.drop(columns=told).rename(columns=names)


def sample_images(cfg: Config, n: int) -> list[np.ndarray]:
    """The first n test images (H, W, 3) uint8 at the size that scores are taken at."""
    pixels = open_cache(cfg, cfg.evaluation.size)
    ids = part_ids(cfg, next(iter(cfg.conditions)), "test")[:n]
    return [np.array(pixels.images[pixels.row(image_id)]) for image_id in ids]


def run_costs(cfg: Config, run: Run, images: list[np.ndarray]) -> dict[str, float]:
    """COSTS of a run; minutes are unknown (NaN) where its history was deleted."""
    counts = systems.parameter_counts(cfg.systems[run.system])
    folder = run_dir(cfg, run)
    minutes = read_history(folder).seconds.sum() / 60 if (folder / HISTORY).exists() else float("nan")
    segmenter = evaluation.segmenter_of(cfg, run)
    speed = milliseconds(lambda image: segmenter.predict([image]), images)
    return dict(zip(COSTS, (counts["total"], counts["trainable"], minutes, speed), strict=True))


def reference_costs(images: list[np.ndarray]) -> dict[str, dict[str, float]]:
    """COSTS of the release model and of what learned nothing; the release was trained elsewhere."""
    release, card = load_segmenter(paths.RELEASE), read_run(paths.RELEASE)
    count = systems.parameter_counts(TypeAdapter(System).validate_python(card["system"]))["total"]
    found = {"release": (count, count, float("nan"), milliseconds(lambda image: release.predict([image]), images))}
    found |= {name: (0, 0, 0.0, milliseconds(predict, images)) for name, predict in BASELINES.items()}
    return {name: dict(zip(COSTS, values, strict=True)) for name, values in found.items()}


def milliseconds(predict: Callable[[np.ndarray], object], images: list[np.ndarray]) -> float:
    """Median time of one image, after one that does not count."""
    predict(images[0])
    times = []
    for image in images:
        start = time.perf_counter()
        predict(image)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def causes(judged: pd.DataFrame, verdict: str) -> pd.DataFrame:
    """The claims of one verdict (`checks.judge`), those that fall by the same finding in one row.

    Columns: claim (the first), claimed, measured, places, slide (or how many slides), found."""
    chosen = judged[judged.verdict == verdict]
    rows = []
    for _, group in chosen.groupby(["claimed", "measured", "found"], sort=False):
        first = group.iloc[0]
        slide = first.slide if group.slide.nunique() == 1 else f"{group.slide.nunique()} slides"
        row = {"claim": first.claim, "claimed": first.claimed, "measured": first.measured}
        rows.append(row | {"places": len(group), "slide": slide, "found": first.found})
    return pd.DataFrame(rows, columns=["claim", "claimed", "measured", "places", "slide", "found"])


def verdicts(judged: pd.DataFrame, order: tuple[str, ...]) -> pd.DataFrame:
    """How many claims have each verdict: verdict, claims, share (%)."""
    counts = judged.verdict.value_counts().reindex(order, fill_value=0)
    return pd.DataFrame(
        {"verdict": counts.index, "claims": counts.values, "share %": 100 * counts.values / len(judged)}
    )


def by_slide(judged: pd.DataFrame, order: tuple[str, ...]) -> pd.DataFrame:
    """Claims by slide, in the deck's order, a column a verdict."""
    grid = judged.groupby(["slide", "verdict"], sort=False).size().unstack(fill_value=0)
    return grid.reindex(index=judged.slide.unique(), columns=list(order), fill_value=0)
