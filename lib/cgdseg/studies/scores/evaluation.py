"""Trained runs on validation and test images, scored at the competition's size.

evaluate_runs(cfg) -> Tables: one row an image and run; F1 by threshold; counts of probabilities."""

import functools
from typing import NamedTuple

import pandas as pd
import torch

from cgdseg import loops
from cgdseg.config import Config, Run
from cgdseg.data.cache import PixelCache, open_cache
from cgdseg.data.stored import load_manifest, load_splits, select_ids
from cgdseg.models.contract import Predictor, sclera_of
from cgdseg.models.predictor import load_segmenter
from cgdseg.models.zoo.baselines import BASELINES
from cgdseg.scoring.ssbc import Scorer
from cgdseg.scoring.tally import Tally
from cgdseg.studies.scores.summaries import over_seeds
from cgdseg.training.runs import segmenter_of, trained_runs

ABOUT = [
    "dataset",
    "subject",
    "eye",
    "gaze",
    "device",
    "tone",
    "sclera",
    "brightness",
    "blur",
]  # the manifest's, as it measures them


class Tables(NamedTuple):
    """What evaluation finds out, as four tables.

    scores: run, system, condition, seed, part, image_id, ABOUT it, label, tp, fp, fn, error, pixels, and every score of
    `tally.EVERY_SCORE`, a row an image; sweep: run, part, dataset, threshold, f1; levels: run, part, dataset, level,
    pixels, found, said (`tally.Tally`); protocols: test images as competitions score them (`ssbc.Scorer`)."""

    scores: pd.DataFrame
    sweep: pd.DataFrame
    levels: pd.DataFrame
    protocols: pd.DataFrame

    def over_seeds(self) -> "Tables":
        """The same by training: `summaries.over_seeds` of the scores, means of the sweep and the protocols."""
        pooled = over_seeds(self.scores)
        names = dict(zip(self.scores.run, pooled.run, strict=True))
        sweep, levels, protocols = (table.assign(run=table.run.map(names)) for table in self[1:])
        sweep, protocols = (_means(table, *of) for table, of in ((sweep, ["f1"]), (protocols, ["mean", "std"])))
        return Tables(pooled, sweep, levels, protocols)


def _means(table: pd.DataFrame, *of: str) -> pd.DataFrame:
    """A row for all that agree in every other column, with the mean of some; the columns stay in their order."""
    by = [name for name in table if name not in of]
    return table.groupby(by, sort=False, as_index=False)[list(of)].mean()[list(table)]


class Truth(NamedTuple):
    """What predictions are held against: images at the size of scoring, what is known of each, and their parts."""

    pixels: PixelCache
    about: pd.DataFrame
    splits: pd.DataFrame


def open_truth(cfg: Config) -> Truth:
    about = load_manifest(cfg).set_index("image_id")[ABOUT]
    return Truth(open_cache(cfg, cfg.evaluation.size), about, load_splits(cfg))


def evaluate_runs(cfg: Config) -> Tables:
    """Score every trained run on its validation and test images. Raises FileNotFoundError when none is trained."""
    runs = trained_runs(cfg)
    # a GPU predicts one run after the other, and a process starts as slowly as a few runs are scored
    n_workers = 1 if torch.cuda.is_available() else min(cfg.workers, len(runs) // 4)
    found = loops.in_parallel(functools.partial(evaluate_run, cfg), runs, n_workers, "runs", heavy=True)
    return _stack(list(found))


def evaluate_run(cfg: Config, run: Run) -> Tables:
    torch.set_num_threads(cfg.training.n_threads)
    truth = open_truth(cfg)
    segmenter = segmenter_of(cfg, run)
    pixels = open_cache(cfg, segmenter.input_size)
    named = {"run": run.name, **run.model_dump()}
    found = []
    for part in ("val", "test"):
        ids = list(dict.fromkeys(select_ids(truth.splits, cfg, run.condition, part)))
        found.append(score_images(cfg, segmenter, pixels, truth, part, ids, named, cfg.evaluation.batch_size))
    return _stack(found)


def evaluate_references(cfg: Config) -> Tables:
    """Score what needs no training here on the test images: the release model, and predictors that learned nothing.

    Tables as those of `evaluate_runs`, without a seed; the names stand in `run`, `system` and `condition`."""
    truth = open_truth(cfg)
    ids = select_ids(truth.splits, cfg, next(iter(cfg.conditions)), "test")
    found = []
    for name, predictor in {"release": load_segmenter(), **BASELINES}.items():
        named = dict.fromkeys(["run", "system", "condition"], name)
        found.append(
            score_images(cfg, predictor, truth.pixels, truth, "test", ids, named, at_once=1)
        )  # as predict sees them
    return _stack(found)


def score_images(
    cfg: Config,
    predictor: Predictor,
    pixels: PixelCache,
    truth: Truth,
    part: str,
    ids: list[str],
    named: dict,
    at_once: int,
) -> Tables:
    """Score a predictor on images of `pixels`, of which it sees `at_once`.

    `named` is written into the scores, its run into all tables."""
    table = pd.DataFrame({**named, "part": part, "image_id": ids}).join(truth.about, on="image_id")
    table["label"] = table.dataset.map(cfg.label)
    tally, scorer, step = Tally(cfg.evaluation.threshold), Scorer(), cfg.evaluation.batch_size
    for start in loops.bar(range(0, len(ids), step), desc=named["run"], leave=False):
        batch = table.iloc[start : start + step]
        images = [pixels.image(image_id) for image_id in batch.image_id]
        probs = sclera_of(predictor, images, cfg.evaluation.size, at_once)
        masks = truth.pixels.sclera(batch.image_id)
        tally.add(batch.label.tolist(), probs, masks)  # the one place where every prediction meets its truth
        for label, prob, mask in zip(batch.label, probs, masks, strict=True):
            if part == "test":
                scorer.add(label, prob >= cfg.evaluation.threshold, prob, mask)
    rest = tally.sweep(), tally.levels(), scorer.table()
    return Tables(table.join(tally.scores()), *(more.assign(run=named["run"], part=part) for more in rest))


def _stack(found: list[Tables]) -> Tables:
    return Tables(*(pd.concat([t for t in tables if len(t)], ignore_index=True) for tables in zip(*found, strict=True)))
