"""The release model: a finished run, calibrated on rendered eyes it never saw, with a card that the numbers fill in.

publish(run folder, cfg) -> lib/cgdseg/release/{best.safetensors, run.json, MODEL_CARD.md}"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from cgdseg import paths
from cgdseg.config.base import RGB
from cgdseg.config.schema import Config, Run
from cgdseg.data.cache import open_cache
from cgdseg.data.drawing import outline
from cgdseg.data.splits import part_ids
from cgdseg.eyes import render_eye
from cgdseg.eyes.looks import LOOKS
from cgdseg.files import write_atomic
from cgdseg.folders.score import score_photographs
from cgdseg.hashes import sha256
from cgdseg.labels import SCLERA
from cgdseg.models.contract import Predictor, predict_all, sclera_of
from cgdseg.models.predictor import Segmenter, load_segmenter
from cgdseg.models.weights import read_run
from cgdseg.models.zoo.baselines import BASELINES
from cgdseg.report.cards import fill, markdown
from cgdseg.scoring.calibration import calibration_error, fit_temperature, reliability_of_pixels
from cgdseg.scoring.metrics import count_pixels, scores
from cgdseg.training.resume import read_history
from cgdseg.training.runs import run_folder

LIMIT_MB = 5.0


def publish(
    cfg: Config, run: Run, folder: Path = paths.RELEASE, photographs: Path | None = None, sclera: RGB | None = None
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Calibrate a finished run on its validation eyes, score it on stored eyes nobody used, and write the release.

    A streamed training never reads the stored training part, so that part tests it. Whether it sees each image
    mirrored as well is chosen by validation F1. `photographs` and `sclera`: see `photograph_scores`.
    Returns its scores by class, and those on photographs. Raises ValueError when the weights exceed LIMIT_MB."""
    source = run_folder(cfg, run)
    segmenter = replace(load_segmenter(source), temperature=1.0)
    megabytes = (source / "best.safetensors").stat().st_size / 1e6
    if megabytes > LIMIT_MB:
        raise ValueError(
            f"{paths.short(source)} has {megabytes:.1f} MB of weights, over {LIMIT_MB}: train a smaller one"
        )
    if not cfg.streamed(run):
        raise ValueError("publishing needs eyes that neither trained nor chose the epoch: set training.stream")
    pixels = open_cache(cfg, segmenter.input_size)
    fitted, held_out = ([pixels.row(i) for i in part_ids(cfg, run.condition, part)] for part in ("val", "train"))
    truth = {name: pixels.labels[half] == SCLERA for name, half in (("fitted", fitted), ("held out", held_out))}
    segmenter, chosen, gains = choose_mirroring(segmenter, pixels.images[fitted], truth["fitted"])
    temperature = fit_temperature(chosen, truth["fitted"])
    raw = predict_all(segmenter, pixels.images[held_out])
    probs = predict_all(replace(segmenter, temperature=temperature), pixels.images[held_out])
    before, after = (reliability_of_pixels(p[:, 0], truth["held out"]) for p in (raw, probs))
    table = class_scores(segmenter, probs, pixels.labels[held_out])
    history = read_history(source)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "best.safetensors", folder / "best.safetensors")
    card = read_run(source) | {"temperature": temperature, "mirrored": segmenter.mirrored}
    write_atomic(folder / "run.json", json.dumps(card, indent=2) + "\n")
    seen = photograph_scores(photographs, folder, sclera) if photographs else None
    words = {
        "settings": cfg.systems[run.system],
        "training": cfg.training,
        "entries": cfg.streamed(run) * cfg.training.epochs,
        "best_epoch": int(history.loc[history.val_f1.idxmax()].epoch),
        "minutes": history.seconds.sum() / 60,
        "commit": card["commit"],
        "megabytes": megabytes,
        "sha256": sha256(folder / "best.safetensors"),
        "eyes": len(held_out),
        "scores": markdown(table),
        "temperature": temperature,
        "gains": gains,
        "mirrored": segmenter.mirrored,
        "error_before": calibration_error(before),
        "error_after": calibration_error(after),
        "foreground_before": calibration_error(before, foreground=True),
        "foreground_after": calibration_error(after, foreground=True),
        "reliability": markdown(after),
        "photographs": seen,
        "each": "" if seen is None else markdown(seen),
        "looks": pd.read_csv(paths.RESULTS / "looks.csv"),
    }
    write_atomic(folder / "MODEL_CARD.md", fill("release_card.md.j2", cfg=cfg, run=run, **words))
    return table, seen


def choose_mirroring(
    segmenter: Segmenter, images: np.ndarray, truth: np.ndarray
) -> tuple[Segmenter, np.ndarray, list[float]]:
    """The segmenter with or without mirror images, whichever has the higher mean F1 on images (N, H, W, 3).

    Returns it, its sclera probabilities (N, H, W), and F1 without and with."""
    choices = [replace(segmenter, mirrored=mirrored) for mirrored in (False, True)]
    found = [sclera_of(choice, images) for choice in choices]
    gains = [float(scores(count_pixels(probs, truth, segmenter.threshold)).f1.mean()) for probs in found]
    best = int(np.argmax(gains))
    return choices[best], found[best], gains


def sample_pictures(n: int = 8, seed: int = 2026) -> list[np.ndarray]:
    """Rendered eyes (240, 320, 3) with what the release model finds in them outlined."""
    segmenter = load_segmenter()
    eyes = [render_eye(LOOKS["randomised"], seed, index, (240, 320)).image for index in range(n)]
    found = [probs >= segmenter.threshold for probs in segmenter.predict(eyes)]
    return [outline(image, masks, thickness=2) for image, masks in zip(eyes, found, strict=True)]


def photograph_scores(folder: Path, run_folder: Path, sclera: RGB | None = None) -> pd.DataFrame:
    """F1 on photographs of a run and of what learned nothing, a row a photograph: image, model, threshold, ellipse.

    `sclera` is its colour in the masks, None for white; see `inference.score_photographs`."""
    segmenter = load_segmenter(run_folder)
    predictors: dict[str, Predictor] = {"model": segmenter, **BASELINES}
    tables = [score_photographs(predictor, folder, sclera).set_index("image").f1 for predictor in predictors.values()]
    return pd.concat(tables, axis=1, keys=predictors).reset_index()


def class_scores(segmenter: Segmenter, probs: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Mean F1 and IoU over images where the class is to be seen, a row a class."""
    rows = []
    for k, part in enumerate(segmenter.classes):
        truth = labels == k + 1
        seen = truth.any(axis=(1, 2))
        means = scores(count_pixels(probs[seen, k], truth[seen], segmenter.threshold)).mean()
        rows.append({"part": part, "images": int(seen.sum()), "F1": means.f1, "IoU": means.iou})
    return pd.DataFrame(rows)
