"""Predicted files scored against files of truth, one file a row; as a competition does, or image by image."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from cgdseg.config import RGB
from cgdseg.data.images import BadFile, read_image
from cgdseg.folders import pairing
from cgdseg.folders.pairing import BINARY, PROBABILITIES, by_name, mask_files, plain_stem, prediction_of, read_sclera
from cgdseg.models.contract import Predictor, sclera_of
from cgdseg.scoring.metrics import SCORES, count_pixels, scores
from cgdseg.scoring.ssbc import PROTOCOLS, WHITE, Scorer


def score_folders(predictions: Path, truth: Path, sclera: RGB | None = None, threshold: float = 0.5) -> pd.DataFrame:
    """Score predicted files against truth masks of the same stem, at the truth's size.

    `predictions`: the --out folder of predict (its Predictions/ is used), or a folder of grey or 0/255 PNGs.
    `sclera`: the sclera's colour in coloured truth masks; None: white, or the SSBC kit's red.
    Returns one row a truth mask: file, f1, iou, precision, recall, mae, problem; a missing or unreadable file
    is named in `problem` and has no scores."""
    folder = predictions / PROBABILITIES if (predictions / PROBABILITIES).is_dir() else predictions
    found = by_name(folder)
    rows = []
    for path in mask_files(truth):
        row = {"file": str(path.relative_to(truth))}
        try:
            mask = read_sclera(path, sclera)
            prediction = prediction_of(path, truth, found, folder)
            prob = read_image(prediction)[..., 0].astype(np.float32) / 255
        except BadFile as error:
            rows.append(row | {"problem": str(error)})
            continue
        if prob.shape != mask.shape:
            prob = cv2.resize(prob, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
        counts = count_pixels(prob[None], mask[None], threshold)
        rows.append(row | scores(counts).iloc[0].to_dict() | {"problem": ""})
    return pd.DataFrame(rows, columns=["file", *SCORES, "problem"])


def score_photographs(predictor: Predictor, folder: Path, sclera: RGB | None) -> pd.DataFrame:
    """F1 of a predictor's sclera on photographs beside masks <stem>_mask.png.

    Returns a row a photograph: image, f1. Raises BadFile, or FileNotFoundError where there is none."""
    rows = []
    for path in pairing.photographs(folder, folder):
        mask = read_sclera(path.with_name(f"{path.stem}_mask.png"), sclera)
        counts = count_pixels(sclera_of(predictor, [read_image(path)]), mask[None])
        rows.append({"image": path.stem, "f1": float(scores(counts).f1.iloc[0])})
    if not rows:
        raise FileNotFoundError(f"{folder} holds no photographs with masks named <stem>_mask.png beside them")
    return pd.DataFrame(rows)


def score_trees(
    predictions: Path, truth: Path, protocols: Iterable[str] = tuple(PROTOCOLS), colour: RGB | None = None
) -> tuple[Scorer, list[str]]:
    """Score Predictions/ and Binarised/ against truth masks: one data set, or a folder of data sets on both sides.

    Masks lie in truth/Masks or truth itself, and of several data sets below truth/<name>. Without `colour` a truth mask
    is read as the evaluator does, 255 alone being sclera. Returns the scorer, and a line for each file that is missing,
    unreadable or scored otherwise than it looks. Raises FileNotFoundError where there is no such tree."""
    scorer, problems = Scorer(protocols), []
    for name, folder, masks in _datasets(predictions, truth, problems):
        files = {kind: by_name(folder / kind) for kind in (BINARY, PROBABILITIES)}
        stems = set()
        for path in mask_files(masks):
            stems.add(plain_stem(path))
            try:
                pair = [prediction_of(path, masks, found, folder / kind) for kind, found in files.items()]
                mask = _read_mask(path, problems) if colour is None else read_sclera(path, colour)
                scorer.add(name, _read_mask(pair[0], problems), read_grey(pair[1]), mask)
            except BadFile as error:
                problems.append(str(error))
            except ValueError as error:
                problems.append(f"{path}: {error}; predict with --size, or give truth of the predictions' size")
        for kind in files:
            problems += [
                f"{path} has no truth mask of its name: add the mask to {masks}, or take the prediction out"
                for path in pairing.image_files(folder / kind)
                if plain_stem(path) not in stems
            ]
    return scorer, problems


def read_grey(path: Path) -> np.ndarray:
    """A picture as (H, W) uint8 grey, colours weighted as the evaluator does (ITU-R 601). Raises BadFile."""
    return np.array(Image.fromarray(read_image(path)).convert("L"))


def _read_mask(path: Path, problems: list[str]) -> np.ndarray:
    """A mask (H, W) bool where it is 255; one that has other values only is named in `problems`."""
    grey = read_grey(path)
    mask = grey == WHITE
    if grey.any() and not mask.any():
        values = f"no pixel of 255, but {(grey > 0).sum():,} others above 0 (at most {grey.max()})"
        problems.append(f"{path} has {values} and counts as empty: save sclera as 255, or give the truth's --colour")
    return mask


def _datasets(predictions: Path, truth: Path, problems: list[str]) -> list[tuple[str, Path, Path]]:
    """(name, folder of Predictions/ and Binarised/, folder of truth masks) of each data set on both sides."""
    if (predictions / PROBABILITIES).is_dir() and (predictions / BINARY).is_dir():
        name = truth.parent.name if truth.name == "Masks" else truth.name
        return [(name, predictions, _masks(truth))]
    if not predictions.is_dir() or not truth.is_dir():
        missing = truth if predictions.is_dir() else predictions
        raise FileNotFoundError(f"{missing} is not a folder: give predictions and truth as folders")
    found = sorted(folder for folder in predictions.iterdir() if (folder / PROBABILITIES).is_dir())
    if not found:
        mend = "give what cgdseg predict wrote, or one track of a submission"
        raise FileNotFoundError(f"{predictions} holds no {PROBABILITIES}/ and {BINARY}/: {mend}")
    names = {folder.name for folder in found}
    for folder in sorted(truth.iterdir()):
        if folder.is_dir() and folder.name not in names:
            problems.append(f"{folder} has no predictions: put them into {predictions / folder.name}")
    sets = []
    for folder in found:
        if not (folder / BINARY).is_dir():
            problems.append(f"{folder} has no {BINARY}/: put its binary masks there")
        elif not (truth / folder.name).is_dir():
            problems.append(f"{folder} has no truth: put its masks into {truth / folder.name}")
        else:
            sets.append((folder.name, folder, _masks(truth / folder.name)))
    return sets


def _masks(truth: Path) -> Path:
    return truth / "Masks" if (truth / "Masks").is_dir() else truth
