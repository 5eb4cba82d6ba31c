"""What costs nothing: predictors that learned nothing, for every trained one to beat.

image (H, W, 3) uint8 -> sclera (H, W) float32, 0 or 1."""

import cv2
import numpy as np


def bright_and_pale(image: np.ndarray) -> np.ndarray:
    """Otsu's threshold on brightness minus saturation: the sclera is the white of the eye."""
    hue_saturation_value = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    paleness = cv2.subtract(hue_saturation_value[..., 2], hue_saturation_value[..., 1])
    paleness = cv2.GaussianBlur(paleness, (0, 0), max(image.shape[:2]) / 100)
    _, mask = cv2.threshold(paleness, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return mask.astype(np.float32)


def middle_ellipse(image: np.ndarray) -> np.ndarray:
    """An eye-shaped ring in the middle of the picture, whatever the picture shows."""
    height, width = image.shape[:2]
    centre, mask = (width // 2, height // 2), np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, centre, (int(0.42 * width), int(0.24 * height)), 0, 0, 360, 1, -1)
    cv2.circle(mask, centre, int(0.2 * height), 0, -1)
    return mask.astype(np.float32)


BASELINES = {"threshold": bright_and_pale, "ellipse": middle_ellipse}
