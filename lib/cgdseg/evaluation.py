"""Trained runs on validation and test images, scored at the competition's size.

evaluate_runs(cfg) -> Tables: one row an image and run; F1 by threshold; counts of probabilities."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from cgdseg import live, paths
from cgdseg.baselines import BASELINES
from cgdseg.config import Config, Run
from cgdseg.data.cache import open_cache
from cgdseg.data.manifest import load_manifest
from cgdseg.data.splits import part_ids
from cgdseg.inference import Segmenter, load_segmenter
from cgdseg.metrics import SCORES, pooled_scores
from cgdseg.scoring import THRESHOLDS, Tally  # noqa: F401  those who try thresholds look for them here
from cgdseg.ssbc import Scorer
from cgdseg.statistics import subject_means
from cgdseg.systems import trace
from cgdseg.training import SCLERA, read_run

ABOUT = ["dataset", "subject", "eye", "gaze", "sclera", "brightness", "blur"]  # the manifest's, as it measures them


def trained_runs(cfg: Config) -> list[Run]:
    """The config's runs that notebook 03 has finished; FileNotFoundError when there is none."""
    found = [run for run in cfg.runs() if paths.run_card(cfg.name, run.name).exists()]
    if not found:
        paths.require(paths.run_card(cfg.name, cfg.runs()[0].name), "03_training")
    return found


def segmenter_of(cfg: Config, run: Run, device: str | None = None) -> Segmenter:
    """The trained system of a run, found through its run card."""
    card = json.loads(paths.require(paths.run_card(cfg.name, run.name), "03_training").read_text())
    folder = paths.run_dir(card["run_id"])
    made = read_run(folder)
    if made is None or made["weights_sha256"] != card["weights_sha256"]:
        raise ValueError(f"{paths.short(folder)} is not what notebook 3 left: run notebooks/03_training.ipynb again")
    return load_segmenter(folder, device)


class Tables(NamedTuple):
    """What evaluation finds out, as four tables.

    scores: run, system, condition, seed, part, image_id, ABOUT it, label, tp, fp, fn, error, pixels, and every score of
    `scoring.EVERY_SCORE`, a row an image; sweep: run, part, dataset, threshold, f1; levels: run, part, dataset, level,
    pixels, found, said (`scoring.Tally`); protocols: test images as competitions score them (`ssbc.Scorer`)."""

    scores: pd.DataFrame
    sweep: pd.DataFrame
    levels: pd.DataFrame
    protocols: pd.DataFrame


Predictor = Callable[[list[str]], np.ndarray]  # image ids -> probabilities (B, H, W) at the size of scoring


def evaluate_runs(cfg: Config) -> Tables:
    """Score every trained run on its validation and test images. Raises FileNotFoundError when none is trained."""
    return _stack([evaluate_run(cfg, run) for run in live.bar(trained_runs(cfg), desc="runs")])


def evaluate_run(cfg: Config, run: Run) -> Tables:
    segmenter = segmenter_of(cfg, run)
    pixels = open_cache(cfg, segmenter.input_size)

    def predict(ids: list[str]) -> np.ndarray:
        return np.stack(segmenter.predict([pixels.images[pixels.row(i)] for i in ids], cfg.evaluation.size))

    named = {"run": run.name, **run.model_dump()}
    parts = {part: list(dict.fromkeys(part_ids(cfg, run.condition, part))) for part in ("val", "test")}
    return _stack([score_images(cfg, predict, part, ids, named) for part, ids in parts.items()])


def evaluate_references(cfg: Config) -> Tables:
    """Score what needs no training here on the test images: the release model, and predictors that learned nothing.

    Tables as those of `evaluate_runs`, without a seed; the names stand in `run`, `system` and `condition`."""
    release, truth = load_segmenter(), open_cache(cfg, cfg.evaluation.size)
    predictors = {"release": lambda image: release.predict([image])[0], **BASELINES}
    ids = part_ids(cfg, next(iter(cfg.conditions)), "test")
    found = []
    for name, one in predictors.items():

        def predict(ids: list[str], one=one) -> np.ndarray:
            return np.stack([one(truth.images[truth.row(i)]) for i in ids])

        found.append(score_images(cfg, predict, "test", ids, dict.fromkeys(["run", "system", "condition"], name)))
    return _stack(found)


def score_images(cfg: Config, predict: Predictor, part: str, ids: list[str], named: dict) -> Tables:
    """Score a predictor on images, a batch at a time; `named` is written into the scores, its run into all tables."""
    people, truth = load_manifest(cfg).set_index("image_id")[ABOUT], open_cache(cfg, cfg.evaluation.size)
    table = pd.DataFrame({**named, "part": part, "image_id": ids}).join(people, on="image_id")
    table["label"] = table.dataset.map(cfg.label)
    tally, scorer, step = Tally(cfg.evaluation.threshold), Scorer(), cfg.evaluation.batch_size
    for start in live.bar(range(0, len(ids), step), desc=named["run"], leave=False):
        batch = table.iloc[start : start + step]
        probs = predict(batch.image_id.tolist())
        masks = np.stack([truth.labels[truth.row(i)] == SCLERA for i in batch.image_id])
        tally.add(batch.label.tolist(), probs, masks)  # the one place where every prediction meets its truth
        for label, prob, mask in zip(batch.label, probs, masks, strict=True):
            if part == "test":
                scorer.add(label, prob >= cfg.evaluation.threshold, prob, mask)
    rest = tally.sweep(), tally.levels(), scorer.table()
    return Tables(table.join(tally.scores()), *(more.assign(run=named["run"], part=part) for more in rest))


def _stack(found: list[Tables]) -> Tables:
    columns = zip(*found, strict=True)
    return Tables(*(pd.concat([t for t in tables if len(t)], ignore_index=True) for tables in columns))


def cross_domain(table: pd.DataFrame) -> pd.DataFrame:
    """The slides' table "Cross-Domain Test Results", a row a run and dataset, with intervals and the pooled F1."""
    by = ["run", "system", "condition", "part", "dataset"]
    named = table.assign(dataset=table.label)
    means = named.groupby(by, sort=False)[SCORES[1:]].mean()
    pooled = named.groupby(by, sort=False)[["tp", "fp", "fn", "error", "pixels"]].apply(pooled_scores)["f1"]
    return subject_means(named, by).join(means, on=by).join(pooled.rename("pooled f1"), on=by)


def home_and_away(summary: pd.DataFrame, cfg: Config) -> pd.DataFrame:
    """Mean F1 by run on "validation" (synthetic eyes of the run's own kind) and on each test set.

    A mixed run also validates on real eyes; they are left out, because a gap is measured from one place."""
    synthetic = {cfg.label(name) for name, dataset in cfg.datasets.items() if dataset.domain == "synthetic"}
    home = summary[(summary.part == "val") & summary.dataset.isin(synthetic)].drop_duplicates("run")
    return pd.concat([home.assign(dataset="validation"), summary[summary.part == "test"]], ignore_index=True)


def domain_gap(summary: pd.DataFrame, cfg: Config) -> pd.DataFrame:
    """The slides' table "Domain Gap Quantification": F1 at home minus F1 away, a row a run and test set."""
    table = home_and_away(summary, cfg)
    home = table[table.dataset == "validation"].set_index("run").f1
    away = table[table.dataset != "validation"]
    gaps = away[["run", "system", "condition", "dataset"]].assign(
        **{"validation f1": away.run.map(home), "test f1": away.f1, "gap": away.run.map(home) - away.f1},
        **away[["images", "subjects"]],
    )
    return gaps.reset_index(drop=True)


def gap_closed(gaps: pd.DataFrame, baseline: str = "synthetic") -> pd.DataFrame:
    """Each condition against the synthetic one: change in test F1, and the share of the baseline's gap that it is.

    "share won back" is change / baseline gap. "share closed" is the slides' 1 - gap / baseline gap, each gap from the
    run's own validation: it flatters a run whose validation eyes are harder, and compares only like with like."""
    keys, values = ["system", "dataset"], ["test f1", "gap"]
    before = gaps[gaps.condition == baseline].groupby(keys)[values].mean().add_suffix(f" {baseline}")
    others = gaps[gaps.condition != baseline].groupby(["system", "condition", "dataset"], sort=False)
    after = others[values].mean().join(others[["images", "subjects"]].first())
    joined = after.reset_index().join(before, on=keys, how="inner")
    joined["change"] = joined["test f1"] - joined[f"test f1 {baseline}"]
    joined["share won back"] = joined["change"] / joined[f"gap {baseline}"]
    joined["share closed"] = 1 - joined["gap"] / joined[f"gap {baseline}"]
    return joined


def people_apart(cfg: Config, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of runs that were not trained on the people they are tested on; all where there is no such run."""
    fair = table[table.condition.map(cfg.protocol) == "subject"]
    return table if fair.empty else fair


def extremes(table: pd.DataFrame) -> pd.DataFrame:
    """The best, the median and the worst image of each dataset in a table of scores; adds `case`."""
    cases = []
    for _, group in table.groupby("label", sort=False):
        ranked = group.sort_values("f1", ascending=False)
        picked = ranked.iloc[[0, len(ranked) // 2, -1]]
        cases.append(picked.assign(case=["best", "median", "worst"]))
    return pd.concat(cases)


def random_cases(table: pd.DataFrame, n: int = 6, seed: int = 0) -> pd.DataFrame:
    """n images of each dataset in a table of scores, drawn at random; adds `case`."""
    drawn = [group.sample(min(n, len(group)), random_state=seed) for _, group in table.groupby("label", sort=False)]
    return pd.concat(drawn).assign(case="")


def best_run(cfg: Config, summary: pd.DataFrame) -> Run:
    """The run with the highest F1, meaned over test sets: good enough to choose a picture, not to report a score.

    One that trained on the people it is tested on is chosen only where there is no other."""
    means = people_apart(cfg, summary[summary.part == "test"]).groupby("run").f1.mean()
    return next(run for run in trained_runs(cfg) if run.name == means.idxmax())


@dataclass(frozen=True)
class Case:
    """One image with its prediction: image (H, W, 3) uint8, prob (H, W) float32, predicted and truth (H, W) bool."""

    label: str
    title: str
    image_id: str
    image: np.ndarray
    prob: np.ndarray
    predicted: np.ndarray
    truth: np.ndarray


def predict_cases(cfg: Config, run: Run, cases: pd.DataFrame) -> list[Case]:
    """Predict chosen rows of a table of scores (`extremes`) again, to look at them."""
    segmenter = segmenter_of(cfg, run)
    pixels, truth = open_cache(cfg, segmenter.input_size), open_cache(cfg, cfg.evaluation.size)
    shown = []
    for case in cases.itertuples():
        prob = segmenter.predict([pixels.images[pixels.row(case.image_id)]], cfg.evaluation.size)[0]
        row = truth.row(case.image_id)
        pixels_of = truth.images[row], prob, prob >= cfg.evaluation.threshold, truth.labels[row] == SCLERA
        title = f"{case.case}: F1 {case.f1:.3f}".removeprefix(": ")
        shown.append(Case(case.label, title, case.image_id, *pixels_of))
    return shown


def trace_run(cfg: Config, run: Run, image_id: str) -> tuple[np.ndarray, dict]:
    """One image (H, W, 3) at the run's input size, and every module's output on it (`systems.trace`)."""
    segmenter = segmenter_of(cfg, run, device="cpu")  # its outputs are drawn
    pixels = open_cache(cfg, segmenter.input_size)
    image = np.array(pixels.images[pixels.row(image_id)])
    return image, trace(segmenter.model, segmenter.to_batch([image]))
