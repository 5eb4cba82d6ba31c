"""Folders of images, truth masks and predictions: which files there are and which belong together, by name.

In: folders. Out: paths in order, pairs of one stem, masks (H, W) bool. What has no partner is a BadFile."""

import re
from pathlib import Path

import numpy as np

from cgdseg.config import RGB
from cgdseg.data.images import IMAGE_SUFFIXES, BadFile, read_image, read_labels
from cgdseg.labels import SCLERA

PROBABILITIES, BINARY = "Predictions", "Binarised"  # the SSBC 2025 kit's folder names
PARTS_WRITTEN = ("Iris", "Pupil", "Opening", "Overlays")
MASK_ENDING = re.compile(r"_(mask|sclera|iris|pupil)$")


def image_files(folder: Path) -> list[Path]:
    """Every file below a folder that is named like an image, in order."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: give the folder that holds the images")
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())


def photographs(folder: Path, out: Path) -> list[Path]:
    """The images of a folder without masks that lie beside their image and without what was predicted into it."""
    written = [(out / name).resolve() for name in (PROBABILITIES, BINARY, *PARTS_WRITTEN)]
    written.append((out / "contact_sheet.png").resolve())
    files = [path for path in image_files(folder) if not any(path.resolve().is_relative_to(w) for w in written)]
    images = {path.with_suffix("") for path in files}
    masks = {path for path in files if MASK_ENDING.search(path.stem) and path.with_name(plain_stem(path)) in images}
    return [path for path in files if path not in masks]


def mask_files(truth: Path) -> list[Path]:
    """Truth masks in a folder: all images, or those ending in _mask or _sclera where images lie beside them.

    Raises FileNotFoundError when there is none."""
    files = image_files(truth)
    if not files:
        raise FileNotFoundError(f"{truth} holds no masks: give the folder of the truth masks")
    marked = [path for path in files if path.stem.endswith(("_mask", "_sclera"))]
    return marked or files


def plain_stem(path: Path) -> str:
    """A file's stem without what marks it as a mask."""
    return MASK_ENDING.sub("", path.stem)


def by_name(folder: Path) -> dict[str, list[Path]]:
    """The images of a folder by their path below it without ending, and by their stem alone."""
    names: dict[str, list[Path]] = {}
    for path in image_files(folder):
        below = path.relative_to(folder)
        for name in {below.with_name(plain_stem(path)).as_posix(), plain_stem(path)}:
            names.setdefault(name, []).append(path)
    return names


def prediction_of(mask: Path, truth: Path, found: dict[str, list[Path]], folder: Path) -> Path:
    """The prediction at the same place below its folder, else the only one of the same stem. Raises BadFile."""
    place = mask.relative_to(truth).with_name(plain_stem(mask)).as_posix()
    candidates = found.get(place) or found.get(plain_stem(mask), [])
    if not candidates:
        raise BadFile(mask, "has no prediction of its name", f"predict its image into {folder}")
    if len(candidates) > 1:
        raise BadFile(mask, f"has {len(candidates)} predictions of its name", "keep the folders of the truth masks")
    return candidates[0]


def read_sclera(path: Path, colour: RGB | None) -> np.ndarray:
    """A truth mask as (H, W) bool; with `colour`, whatever has another colour is not sclera. Raises BadFile."""
    if colour is None:
        return read_labels(path) == SCLERA
    mask = (read_image(path) == np.array(colour, np.uint8)).all(axis=2)
    if not mask.any():
        raise BadFile(path, f"has no pixel of the colour {tuple(colour)}", "give the sclera's colour in these masks")
    return mask
