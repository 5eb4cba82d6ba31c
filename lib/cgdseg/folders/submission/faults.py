"""Faults of single predictions, and of pairs that must show one eye.

In: a PNG, or pixels (H, W) uint8. Out: faults: severity, kind, reason, mend."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from cgdseg.data.images import READABLE, BadFile, Loaded, load_image
from cgdseg.folders.submission import SIZE
from cgdseg.scoring.metrics import ratio
from cgdseg.scoring.ssbc import WHITE, count_values, precision_recall_of_counts

WRONG_WAYS = {  # the ways in which a picture is saved the wrong way round
    "upside down": np.flipud,
    "mirrored": np.fliplr,
    "turned by 180°": lambda pixels: pixels[::-1, ::-1],
}
SAME_MASK = 0.98  # F1 of two masks that show one thing in one position: nearly a cut of the map at some threshold
CLEARLY = 0.02  # by which the turned map then agrees better
AGREES, DIFFERS = 0.95, 0.8  # below: a warning, for small repairs are allowed; an error
MASKS_ALIKE, MARGIN, MEAN_MARGIN = 0.8, 0.2, 0.05  # for masks that need not be equal: of two models, or model and truth
AS_GREY_PNG = "save it as PNG of one channel with 8 bits"


class Fault(NamedTuple):
    severity: str
    kind: str
    reason: str
    mend: str


def read_prediction(path: Path, binary: bool) -> tuple[np.ndarray | None, list[Fault]]:
    """Pixels (H, W) uint8 of a prediction, or None where it cannot be judged further, and its faults."""
    height, width = SIZE
    try:
        with Image.open(path, formats=READABLE) as image:  # the header alone: what follows it may be huge
            shape, mode = image.size[::-1], image.mode
        if shape != SIZE:
            reason = f"is {shape[1]}x{shape[0]} (width x height), not {width}x{height}"
            return None, [Fault("error", "size", reason, f"predict with --size {width}x{height}")]
        if mode[0] in "IF":
            return None, [Fault("error", "mode", "has more than 8 bits a pixel", AS_GREY_PNG)]
        loaded = load_image(path)
    except BadFile as bad:
        return None, [Fault("error", "unreadable", bad.reason, bad.mend)]
    except Exception as error:  # decoders raise whatever the broken bytes lead them to
        empty = path.stat().st_size == 0
        reason = "is empty (zero bytes)" if empty else f"is no image ({type(error).__name__})"
        return None, [Fault("error", "unreadable", reason, "write it again")]
    return _judge(loaded, mode, binary)


def _judge(loaded: Loaded, mode: str, binary: bool) -> tuple[np.ndarray | None, list[Fault]]:
    notes = [(reason, mend) for reason, mend in loaded.notes if not reason.startswith("is grey")]
    faults = [Fault("warning", "unusual", reason, mend) for reason, mend in notes]
    pixels = np.ascontiguousarray(loaded.pixels[..., 0])
    if mode == "1" and binary:
        faults.append(Fault("warning", "mode", "has 1 bit a pixel", AS_GREY_PNG))
    elif mode != "L":
        coloured = (loaded.pixels != pixels[..., None]).any()
        names = {"P": "a palette", "PA": "a palette", "LA": "an alpha channel", "RGBA": "an alpha channel"}
        reason = names.get(mode, "colours" if coloured else f"three equal channels (mode {mode})")
        return None, [*faults, Fault("error", "mode", f"has {reason}", AS_GREY_PNG)]
    return pixels, faults + (_mask_faults(pixels) if binary else _map_faults(pixels))


def _mask_faults(pixels: np.ndarray) -> list[Fault]:
    values = np.flatnonzero(np.bincount(pixels.ravel(), minlength=256))
    strange = values[(values > 0) & (values < WHITE)]
    if len(strange):
        only = f"the values {', '.join(map(str, values[:4]))}{', …' if len(values) > 4 else ''}"
        empty = "" if WHITE in values else ", so that it counts as empty"
        return [Fault("error", "values", f"has {only}{empty}", "save sclera as 255 and all else as 0")]
    if len(values) == 1:
        shade = "black" if values[0] == 0 else "white"
        return [Fault("warning", "blank", f"is all {shade}", "look at its image: is there no sclera, or nothing else?")]
    return []


def _map_faults(pixels: np.ndarray) -> list[Fault]:
    values = np.unique(pixels)
    if len(values) == 1:
        shade = "black" if values[0] == 0 else f"{values[0]}"
        return [Fault("warning", "blank", f"is all {shade}", "look at its image: does the model see nothing?")]
    if len(values) == 2:
        reason = f"has two values only ({values[0]}, {values[1]}): a mask, not a probability"
        return [Fault("error", "binary map", reason, "save the probability times 255, before any threshold")]
    return []


def agreement(mask: np.ndarray, grey: np.ndarray) -> float:
    """F1 of a map's best cut with a mask; 1 when the mask is a cut of the map. mask (H, W) bool, grey (H, W) uint8."""
    precision, recall = precision_recall_of_counts(count_values(mask, grey, mask)[None])
    return float(ratio(2 * precision * recall, precision + recall).max())


def compare_pair(grey: np.ndarray, binary: np.ndarray) -> list[Fault]:
    """Faults of a map and a mask (H, W) uint8 of one image: one is turned, or they show different things."""
    mask = binary == WHITE
    if mask.all() or not mask.any():
        return []
    straight = agreement(mask, grey)
    if straight < 1:
        turned = {turn: agreement(mask, apply(grey)) for turn, apply in WRONG_WAYS.items()}
        turn = max(turned, key=turned.get)
        if turned[turn] >= SAME_MASK and turned[turn] - straight >= CLEARLY:
            reason = f"is {turn} against its binary mask (F1 {straight:.2f}, turned back {turned[turn]:.2f})"
            return [Fault("error", "turned", reason, "write both from the same array")]
    if straight < AGREES:
        reason = f"has no threshold that gives its binary mask (F1 {straight:.2f} at best)"
        severity = "error" if straight < DIFFERS else "warning"
        return [Fault(severity, "disagree", reason, "write both from the same prediction")]
    return []


def fits(mask: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """F1 of a mask with another (H, W) bool, as it is ("straight") and by each of WRONG_WAYS."""
    n_pixels = np.count_nonzero(mask) + np.count_nonzero(other)
    turned = {"straight": mask} | {turn: apply(mask) for turn, apply in WRONG_WAYS.items()}
    return {turn: float(ratio(2 * np.count_nonzero(pixels & other), n_pixels)) for turn, pixels in turned.items()}


def judge_fits(f1: Mapping[str, float], severity: str, whose: str, margin: float) -> list[Fault]:
    """The fault of a mask, or of many in the mean, that fits another of its image only when turned."""
    turn = max(f1, key=f1.get)
    if f1[turn] < MASKS_ALIKE or f1[turn] - f1["straight"] < margin:
        return []
    reason = f"seems {turn} against {whose} mask (F1 {f1['straight']:.2f}, turned back {f1[turn]:.2f})"
    return [Fault(severity, "turned", reason, "open it beside its image; write it the way the image lies")]
