"""A folder of photographs predicted: PNGs of probabilities, masks, classes and overlays, at native or another size."""

from pathlib import Path

import numpy as np
import pandas as pd

from cgdseg import loops
from cgdseg.config import Size
from cgdseg.data.drawing import outline
from cgdseg.data.images import BadFile, encoded, read_image, resize_image
from cgdseg.files import write_atomic
from cgdseg.folders.pairing import BINARY, PROBABILITIES, photographs
from cgdseg.models.predictor import Segmenter


def predict_folder(
    segmenter: Segmenter,
    images: Path,
    out: Path,
    size: Size | None = None,
    classes: bool = False,
    overlays: bool = False,
    flat: bool = False,
) -> pd.DataFrame:
    """Write Predictions/<stem>.png (probability * 255) and Binarised/<stem>.png (0 or 255) for every image.

    classes: also Iris/, Pupil/ and Opening/ (their union with the sclera), 0 or 255. overlays: also Overlays/ with the
    borders drawn in. flat: sub-folders of the images are not kept. Returns one row a file: file, height, width, sclera
    (fraction), problem. A file that can not be read is named there with its mend and left out; two images that would
    share one output are refused beforehand."""
    if classes and len(segmenter.classes) < 3:
        raise ValueError(f"{segmenter.name} knows no iris and pupil: use a run whose `classes` name them")
    files = photographs(images, out)
    names = pd.Series(files, dtype=object).map(lambda path: path.relative_to(images).with_suffix(".png"))
    targets = names.map(lambda path: Path(path.name)) if flat else names
    clashes = targets[targets.duplicated(keep=False)]
    if len(clashes):
        twins = ", ".join(str(files[i].relative_to(images)) for i in clashes.index)
        raise ValueError(f"{twins} would share one output name: rename one of each")
    rows = []
    for path, target in loops.bar(list(zip(files, targets, strict=True)), desc="predict", unit="image", disable=None):
        row = {"file": str(path.relative_to(images))}
        try:
            image = read_image(path)
        except BadFile as error:
            rows.append(row | {"problem": str(error)})
            continue
        probs = segmenter.predict([image], None if classes or overlays else ("sclera",), size)[0]
        masks = probs >= segmenter.threshold  # (K, H, W)
        pictures = {PROBABILITIES: np.round(probs[0] * 255).astype(np.uint8), BINARY: _white(masks[0])}
        if classes:
            pictures |= {"Iris": _white(masks[1]), "Pupil": _white(masks[2]), "Opening": _white(masks.any(axis=0))}
        if overlays:
            pictures["Overlays"] = outline(resize_image(image, masks.shape[1:]), masks)
        for name, picture in pictures.items():
            write_png(out / name / target, picture)
        height, width = masks.shape[1:]
        rows.append(row | {"height": height, "width": width, "sclera": masks[0].mean(), "problem": ""})
    return pd.DataFrame(rows, columns=["file", "height", "width", "sclera", "problem"])


def _white(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, 255, 0).astype(np.uint8)


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write a grey (H, W) or RGB (H, W, 3) uint8 picture; never half a file."""
    write_atomic(path, encoded(path.name, pixels))
