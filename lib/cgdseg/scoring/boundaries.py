"""How far apart two borders run: predicted and true masks (H, W) bool -> distances in pixels of their own grid.

Conventions, because libraries differ in all of them (arXiv 2410.02630):
- Border: pixels of a mask with a background pixel above, below, left or right; outside the picture is background.
- Distance: Euclidean, between pixel centres, from each border pixel to the nearest one of the other border.
- 95 % Hausdorff: the larger of the two directed 95th percentiles, interpolated linearly, as MONAI has it.
- Boundary F at t: harmonic mean of the shares of either border that lie within t pixels of the other (Csurka 2013).
- Both masks empty: NaN, there is no border to judge. One empty: boundary F 0, distance the picture's diagonal."""

from collections.abc import Iterable

import cv2
import numpy as np

TOLERANCES = (1, 2)  # pixels
PERCENTILE = 95
CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
BORDER_SCORES = [*(f"boundary_f_{t}px" for t in TOLERANCES), "hd95"]


def border(mask: np.ndarray) -> np.ndarray:
    """The border pixels of a mask (H, W) bool."""
    pixels = mask.astype(np.uint8)
    inner = cv2.erode(pixels, CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return pixels > inner


def border_distances(predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels from each predicted border pixel to the true border, and from each true one to the predicted.

    Raises ValueError where either mask is empty: nothing is a distance away from nothing."""
    if not (predicted.any() and truth.any()):
        raise ValueError("an empty mask has no border: see border_scores for what counts then")
    both = np.nonzero(predicted | truth)
    around = tuple(slice(axis.min(), axis.max() + 1) for axis in both)  # no border lies outside
    edges = border(predicted[around]), border(truth[around])
    outside = [(~edge).astype(np.uint8) for edge in edges]
    to_predicted, to_truth = (cv2.distanceTransform(o, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for o in outside)
    return _exact(to_truth[edges[0]]), _exact(to_predicted[edges[1]])


def _exact(distances: np.ndarray) -> np.ndarray:
    """Squares of distances between pixels are whole numbers; OpenCV's roots differ in their last bits by run."""
    return np.sqrt(np.rint(distances.astype(float) ** 2))


def border_scores(predicted: np.ndarray, truth: np.ndarray, tolerances: Iterable[float] = TOLERANCES) -> dict:
    """Boundary F at each tolerance and the 95 % Hausdorff distance of two masks (H, W) bool, as the contract says."""
    names = [f"boundary_f_{t}px" for t in tolerances]
    if predicted.shape != truth.shape:
        raise ValueError(f"the prediction is {predicted.shape} but the truth is {truth.shape}: resize one of them")
    filled = int(predicted.any()) + int(truth.any())
    if filled < 2:
        nothing, far = (0.0, float(np.hypot(*truth.shape))) if filled else (np.nan, np.nan)
        return dict.fromkeys(names, nothing) | {"hd95": far}
    distances = border_distances(predicted, truth)
    found = {}
    for name, tolerance in zip(names, tolerances, strict=True):
        precision, recall = (float((d <= tolerance).mean()) for d in distances)
        found[name] = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return found | {"hd95": max(float(np.percentile(d, PERCENTILE)) for d in distances)}
