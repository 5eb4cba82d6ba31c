"""What can be said of a rendered eye: regions with all that is true of them, and phrases that say it.

regions(eye) -> [(mask (H, W) bool, {"sclera", "white sclera"}), ...]; PHRASES[meaning] -> the ways to say it."""

import cv2
import numpy as np

from cgdseg.eyes import Eye
from cgdseg.labels import IRIS, OTHER, PUPIL, SCLERA

NAMES = {
    "sclera": ("sclera", "white", "white part", "scleral region", "white region", "eye white"),
    "iris": ("iris", "coloured ring"),
    "pupil": ("pupil", "dark centre"),
    "caruncle": ("caruncle", "pink corner"),
    "eyelid": ("eyelid", "lid"),
    "skin": ("skin", "skin around"),
    "eyelashes": ("eyelashes", "lashes"),
    "reflection": ("reflection", "bright reflection", "glint"),
}
COLOURED = ("sclera", "iris", "skin")
COLOURS = {  # RGB as a picture shows it
    "white": (225, 220, 215),
    "grey": (140, 140, 140),
    "black": (25, 22, 22),
    "dark brown": (60, 42, 34),
    "brown": (115, 80, 58),
    "beige": (205, 165, 140),
    "pink": (205, 140, 135),
    "red": (150, 60, 55),
    "yellow": (200, 180, 110),
    "green": (105, 120, 85),
    "blue": (95, 120, 150),
}
GAZE_WORDS = ("left", "right", "up", "down", "straight ahead")
FRAMES = ("{}", "the {}", "{} of the eye", "the {} of the eye", "{} of the human eye", "{} on the eye")
SMALLEST = 0.002  # of the picture: what is smaller is not spoken of


def _phrases() -> dict[str, tuple[str, ...]]:
    """Every meaning with all its phrases."""
    said = {}
    for part, names in NAMES.items():
        said[part] = tuple(form.format(name) for name in names for form in FRAMES)
        said[f"no {part}"] = tuple(form.format(name) for name in names for form in ("no {}", "an eye without {}"))
        for colour in COLOURS if part in COLOURED else ():
            said[f"{colour} {part}"] = tuple(form.format(f"{colour} {name}") for name in names[:2] for form in FRAMES)
    for gaze in GAZE_WORDS:
        said[f"gaze {gaze}"] = (f"an eye looking {gaze}", f"a human eye that looks {gaze}", f"gaze {gaze}")
    for opening in ("wide open", "narrow", "closed"):
        said[f"{opening} eye"] = (f"a {opening} eye", f"{opening} eye", f"the eye is {opening}")
    return said


PHRASES = _phrases()
MEANINGS = tuple(PHRASES)


def regions(eye: Eye) -> list[tuple[np.ndarray, set[str]]]:
    """Every part in sight with what is true of it, and last the whole picture with what is true of that."""
    found, absent = [], set()
    for part, mask in masks(eye).items():
        if mask.mean() < SMALLEST:
            absent.add(f"no {part}")
            continue
        true = {part}
        if part in COLOURED:
            true.add(f"{colour_name(eye.image[mask].mean(axis=0))} {part}")
        found.append((mask, true))
    everything = np.ones(eye.labels.shape, bool)
    return [*found, (everything, absent | _looks(eye.labels))]


def masks(eye: Eye) -> dict[str, np.ndarray]:
    """Part -> mask (H, W); a pixel belongs to one part at most. Lids are the skin next to the opening."""
    opening = eye.labels != OTHER
    side = max(3, round(0.12 * eye.labels.shape[0]) | 1)
    near = cv2.dilate(opening.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0
    over = eye.lashes | (eye.reflections & opening)
    bare = ~opening & ~eye.lashes
    return {
        "sclera": (eye.labels == SCLERA) & ~over & ~eye.caruncle,
        "iris": (eye.labels == IRIS) & ~over,
        "pupil": (eye.labels == PUPIL) & ~over,
        "caruncle": eye.caruncle & ~over,
        "eyelid": bare & near & ~eye.caruncle,
        "skin": bare & ~near & ~eye.caruncle,
        "eyelashes": eye.lashes,
        "reflection": eye.reflections & opening & ~eye.lashes,
    }


def colour_name(rgb: np.ndarray) -> str:
    """The nearest of COLOURS in CIELAB."""
    palette = np.array([rgb, *COLOURS.values()], np.float32)[None] / 255
    lab = cv2.cvtColor(palette, cv2.COLOR_RGB2LAB)[0]
    return list(COLOURS)[int(np.linalg.norm(lab[1:] - lab[0], axis=1).argmin())]


def _looks(labels: np.ndarray) -> set[str]:
    """How wide the eye is open and where it looks, as the picture shows it."""
    rows, columns = np.nonzero(labels)
    if len(rows) < SMALLEST * labels.size:
        return {"closed eye"}
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    true = {"wide open eye"} if height > 0.45 * width else {"narrow eye"} if height < 0.25 * width else set()
    dark_rows, dark_columns = np.nonzero(labels >= IRIS)
    if len(dark_rows) < SMALLEST * labels.size:
        return true
    across = (dark_columns.mean() - columns.min()) / width - 0.5
    down = (dark_rows.mean() - rows.min()) / height - 0.5
    if abs(across) > 0.1:
        return true | {"gaze left" if across < 0 else "gaze right"}
    if abs(down) > 0.12:
        return true | {"gaze up" if down < 0 else "gaze down"}
    return true | {"gaze straight ahead"}
