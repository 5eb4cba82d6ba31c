"""What costs nothing: predictors that learned nothing, for every trained one to beat."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from cgdseg.config import Size
from cgdseg.models.contract import Images, Prompts, answered


@dataclass(frozen=True)
class Rule:
    """A rule that finds the sclera, image (H, W, 3) uint8 -> (H, W) float32 of 0 and 1, as a `contract.Predictor`."""

    rule: Callable[[np.ndarray], np.ndarray]

    def predict(self, images: Images, prompts: Prompts = None, size: Size | None = None) -> list[np.ndarray]:
        """Images (H, W, 3) uint8 -> (1, H, W) float32 of the sclera, at `size` or the image's own."""
        answered(prompts, ["sclera"])
        maps = [self.rule(image) for image in images]
        return [(found if size is None else cv2.resize(found, size[::-1]))[None] for found in maps]


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


BASELINES = {"threshold": Rule(bright_and_pale), "ellipse": Rule(middle_ellipse)}
