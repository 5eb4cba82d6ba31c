"""Masks drawn into photographs: pixels in, pixels out; images are (H, W, 3) uint8 RGB."""

import cv2
import numpy as np

from cgdseg.labels import LABELS

PART_COLOURS = ((0, 230, 118), (255, 193, 7), (216, 27, 96))  # sclera, iris, pupil
HITS, FALSE_ALARMS, MISSES = (0, 158, 115), (230, 97, 0), (86, 80, 220)  # told apart by colour-blind readers too


def masks_of(labels: np.ndarray) -> np.ndarray:
    """Labels (H, W) -> masks (3, H, W) bool of sclera, iris and pupil."""
    return labels == np.array(list(LABELS.values()))[:, None, None]


def outline(image: np.ndarray, masks: np.ndarray, thickness: int | None = None, colours=PART_COLOURS) -> np.ndarray:
    """A copy of an image with the borders of masks (K, H, W) bool drawn in; thickness None: by the image's size."""
    drawn, thickness = image.copy(), thickness or max(1, round(min(image.shape[:2]) / 150))
    for mask, colour in zip(masks, colours, strict=False):
        borders, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, borders, -1, colour, thickness)
    return drawn


def errors(image: np.ndarray, predicted: np.ndarray, truth: np.ndarray, strength: float = 0.6) -> np.ndarray:
    """Colour hits green, false alarms orange and misses violet over a greyed image; masks are (H, W) bool."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.float32)
    for region, colour in ((predicted & truth, HITS), (predicted & ~truth, FALSE_ALARMS), (~predicted & truth, MISSES)):
        grey[region] = (1 - strength) * grey[region] + strength * np.array(colour)
    return grey.astype(np.uint8)


def tile(pictures: list[np.ndarray], n_columns: int = 6) -> np.ndarray:
    """Pictures of one size in rows, white where the last row ends."""
    n_columns = min(n_columns, len(pictures))
    pictures = pictures + [np.full_like(pictures[0], 255)] * (-len(pictures) % n_columns)
    return np.vstack([np.hstack(pictures[i : i + n_columns]) for i in range(0, len(pictures), n_columns)])
