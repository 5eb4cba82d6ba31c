"""The release model: a finished run, calibrated on rendered eyes it never saw, with a card that the numbers fill in.

publish(cfg, run) -> lib/cgdseg/release/{best.safetensors, run.json, MODEL_CARD.md}"""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from cgdseg import paths
from cgdseg.config import RGB, Config, Run
from cgdseg.data.cache import open_cache
from cgdseg.data.drawing import outline
from cgdseg.data.stored import part_ids
from cgdseg.eyes import render_eye
from cgdseg.eyes.looks import LOOKS
from cgdseg.files import write_atomic
from cgdseg.folders.score import score_photographs
from cgdseg.hashes import sha256
from cgdseg.labels import LABELS, SCLERA
from cgdseg.models.contract import Predictor, predict_all, sclera_of
from cgdseg.models.predictor import Segmenter, load_segmenter
from cgdseg.models.weights import read_run
from cgdseg.models.zoo.baselines import BASELINES
from cgdseg.report.cards import fill
from cgdseg.scoring.calibration import calibration_error, fit_temperature, reliability_of_pixels
from cgdseg.scoring.metrics import count_pixels, scores
from cgdseg.training.resume import read_history
from cgdseg.training.runs import run_folder

LIMIT_MB = 5.0


class Measured(NamedTuple):
    """What a calibrated segmenter is worth on eyes nobody used: how many, its scores by class, and bins of said and
    found sclera (`reliability_of_pixels`) before and after calibration."""

    n_eyes: int
    scores: pd.DataFrame
    before: pd.DataFrame
    after: pd.DataFrame


def publish(
    cfg: Config, run: Run, folder: Path = paths.RELEASE, photographs: Path | None = None, sclera: RGB | None = None
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Calibrate a finished run on its validation eyes, score it on stored eyes nobody used, and write the release.

    A streamed training never reads the stored training part, so that part tests it. `photographs` and `sclera`: see
    `photograph_scores`. Returns its scores by class, and those on photographs. Raises ValueError when the weights
    exceed LIMIT_MB."""
    source = run_folder(cfg, run)
    uncalibrated = load_segmenter(source)
    _refuse_unfit(cfg, run, source)
    pixels = open_cache(cfg, uncalibrated.input_size)
    fitted, held_out = ([pixels.row(i) for i in part_ids(cfg, run.condition, part)] for part in ("val", "train"))
    segmenter, gains = calibrate(uncalibrated, pixels.images[fitted], pixels.labels[fitted])
    measured = measure(segmenter, pixels.images[held_out], pixels.labels[held_out])
    write_weights(source, folder, segmenter)
    seen = photograph_scores(photographs, folder, sclera) if photographs else None
    write_card(cfg, run, folder, segmenter=segmenter, gains=gains, measured=measured, photographs=seen)
    return measured.scores, seen


def _refuse_unfit(cfg: Config, run: Run, source: Path) -> None:
    if (size := _megabytes(source)) > LIMIT_MB:
        raise ValueError(f"{paths.short(source)} has {size:.1f} MB of weights, over {LIMIT_MB}: train a smaller one")
    if not cfg.streamed(run):
        raise ValueError("publishing needs eyes that neither trained nor chose the epoch: set training.stream")


def _megabytes(folder: Path) -> float:
    return (folder / "best.safetensors").stat().st_size / 1e6


def calibrate(segmenter: Segmenter, images: np.ndarray, labels: np.ndarray) -> tuple[Segmenter, list[float]]:
    """The segmenter with or without mirror images, whichever has the higher mean F1, at the temperature that fits.

    images (N, H, W, 3) and labels (N, H, W) are those of validation. Returns it, and F1 without and with."""
    truth = labels == SCLERA
    choices = [replace(segmenter, temperature=1.0, mirrored=mirrored) for mirrored in (False, True)]
    found = [sclera_of(choice, images) for choice in choices]
    gains = [float(scores(count_pixels(probs, truth, segmenter.threshold)).f1.mean()) for probs in found]
    best = int(np.argmax(gains))
    return replace(choices[best], temperature=fit_temperature(found[best], truth)), gains


def measure(segmenter: Segmenter, images: np.ndarray, labels: np.ndarray) -> Measured:
    """Score a calibrated segmenter on images (N, H, W, 3) with labels (N, H, W)."""
    raw, probs = (predict_all(each, images) for each in (replace(segmenter, temperature=1.0), segmenter))
    before, after = (reliability_of_pixels(each[:, 0], labels == SCLERA) for each in (raw, probs))
    return Measured(len(images), class_scores(segmenter, probs, labels), before, after)


def write_weights(source: Path, folder: Path, segmenter: Segmenter) -> None:
    """Copy a run's weights, and say beside them how they are calibrated."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "best.safetensors", folder / "best.safetensors")
    card = read_run(source) | {"temperature": segmenter.temperature, "mirrored": segmenter.mirrored}
    write_atomic(folder / "run.json", json.dumps(card, indent=2) + "\n")


def write_card(cfg: Config, run: Run, folder: Path, **found) -> None:
    """Fill the card of the release in `folder`; found: what `publish` found out, by its names in the template."""
    history = read_history(run_folder(cfg, run))
    words = {
        "settings": cfg.systems[run.system],
        "training": cfg.training,
        "entries": cfg.streamed(run) * cfg.training.epochs,
        "best_epoch": int(history.loc[history.val_f1.idxmax()].epoch),
        "minutes": history.seconds.sum() / 60,
        "commit": read_run(folder)["commit"],
        "megabytes": _megabytes(folder),
        "sha256": sha256(folder / "best.safetensors"),
        "error": calibration_error,
        "looks": pd.read_csv(paths.RESULTS / "looks.csv"),
    }
    write_atomic(folder / "MODEL_CARD.md", fill("release_card.md.j2", cfg=cfg, run=run, **words, **found))


def sample_pictures(n: int = 8, seed: int = 2026) -> list[np.ndarray]:
    """Rendered eyes (240, 320, 3) with what the release model finds in them outlined."""
    segmenter = load_segmenter()
    eyes = [render_eye(LOOKS["randomised"], seed, index, (240, 320)).image for index in range(n)]
    found = [probs >= segmenter.threshold for probs in segmenter.predict(eyes)]
    return [outline(image, masks, thickness=2) for image, masks in zip(eyes, found, strict=True)]


def photograph_scores(folder: Path, run_folder: Path, sclera: RGB | None = None) -> pd.DataFrame:
    """F1 on photographs of a run and of what learned nothing, a row a photograph: image, model, threshold, ellipse.

    `sclera` is its colour in the masks, None for white; see `folders.score.score_photographs`."""
    segmenter = load_segmenter(run_folder)
    predictors: dict[str, Predictor] = {"model": segmenter, **BASELINES}
    tables = [score_photographs(predictor, folder, sclera).set_index("image").f1 for predictor in predictors.values()]
    return pd.concat(tables, axis=1, keys=predictors).reset_index()


def class_scores(segmenter: Segmenter, probs: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Mean F1 and IoU over images where the class is to be seen, a row a class."""
    rows = []
    for k, part in enumerate(segmenter.classes):
        truth = labels == LABELS[part]
        seen = truth.any(axis=(1, 2))
        means = scores(count_pixels(probs[seen, k], truth[seen], segmenter.threshold)).mean()
        rows.append({"part": part, "images": int(seen.sum()), "F1": means.f1, "IoU": means.iou})
    return pd.DataFrame(rows)
