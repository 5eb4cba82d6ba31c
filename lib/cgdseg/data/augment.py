"""The slides' eleven augmentations ("Data Augmentation Pipeline") on albumentations 2.0.8.

In and out: image uint8 (H, W, 3) and mask uint8 (H, W) of classes; sizes never change and classes stay classes."""

import random

import albumentations as A
import cv2
import numpy as np


class QuarterTurn(A.DualTransform):
    """Turn by k quarter turns, k in {1, 2, 3}; where that swaps the sides, stretch back to the image's own size."""

    _targets = (A.core.transforms_interface.Targets.IMAGE, A.core.transforms_interface.Targets.MASK)

    def get_params(self) -> dict:
        return {"k": self.py_random.randint(1, 3)}

    def apply(self, img: np.ndarray, k: int, **params) -> np.ndarray:
        return self._turn(img, k, cv2.INTER_LINEAR)

    def apply_to_mask(self, mask: np.ndarray, k: int, **params) -> np.ndarray:
        return self._turn(mask, k, cv2.INTER_NEAREST_EXACT)

    def _turn(self, pixels: np.ndarray, k: int, interpolation: int) -> np.ndarray:
        turned = np.ascontiguousarray(np.rot90(pixels, k))
        if turned.shape == pixels.shape:
            return turned
        return cv2.resize(turned, (pixels.shape[1], pixels.shape[0]), interpolation=interpolation)


class HueSaturation(A.ImageOnlyTransform):
    """Shift the hue by up to `hue` of OpenCV's 180 steps, multiply the saturation (albumentations only adds to it)."""

    def __init__(self, hue: int = 18, saturation: tuple[float, float] = (0.7, 1.3), p: float = 0.5):
        super().__init__(p=p)
        self.hue, self.saturation = hue, saturation

    def get_params(self) -> dict:
        return {"shift": self.py_random.uniform(-self.hue, self.hue), "scale": self.py_random.uniform(*self.saturation)}

    def apply(self, img: np.ndarray, shift: float, scale: float, **params) -> np.ndarray:
        levels = np.arange(256)
        hue, saturation, value = cv2.split(cv2.cvtColor(img, cv2.COLOR_RGB2HSV))
        hue = cv2.LUT(hue, ((levels + round(shift)) % 180).astype(np.uint8))
        saturation = cv2.LUT(saturation, np.clip(levels * scale + 0.5, 0, 255).astype(np.uint8))
        return cv2.cvtColor(cv2.merge([hue, saturation, value]), cv2.COLOR_HSV2RGB)


class Specular(A.ImageOnlyTransform):
    """Add 1 to 3 white Gaussian blobs of peak `strength` (of 255), as a lamp on cornea and sclera makes."""

    def __init__(
        self,
        n_blobs: tuple[int, int] = (1, 3),
        strength: tuple[float, float] = (0.3, 0.8),
        sigma: tuple[float, float] = (0.01, 0.05),  # of the shorter side; the slides give no size
        p: float = 0.5,
    ):
        super().__init__(p=p)
        self.n_blobs, self.strength, self.sigma = n_blobs, strength, sigma

    def get_params_dependent_on_data(self, params: dict, data: dict) -> dict:
        height, width = params["shape"][:2]
        draw = self.py_random.uniform
        n_blobs, side = self.py_random.randint(*self.n_blobs), min(height, width)
        places = ((draw(0, height), draw(0, width)) for _ in range(n_blobs))
        return {"blobs": [(y, x, draw(*self.sigma) * side, draw(*self.strength)) for y, x in places]}

    def apply(self, img: np.ndarray, blobs: list[tuple[float, float, float, float]], **params) -> np.ndarray:
        rows, columns = (np.arange(n, dtype=np.float32) for n in img.shape[:2])
        light = np.zeros(img.shape[:2], np.float32)
        for y, x, sigma, strength in blobs:  # a Gaussian is the product of its profiles
            down, across = (np.exp(-(((place - at) / sigma) ** 2) / 2) for place, at in ((rows, y), (columns, x)))
            light += strength * np.outer(down, across)
        return np.clip(img + 255 * light[..., None], 0, 255).astype(np.uint8)


class Rectangles(A.CoarseDropout):
    """0 to 3 rectangles of one random colour each; the mask stays (the library insists on one at least)."""

    def __init__(self, p: float = 0.5):
        super().__init__(
            num_holes_range=(1, 3),
            hole_height_range=(0.04, 0.2),
            hole_width_range=(0.04, 0.2),
            fill="random_uniform",
            p=p,
        )
        self.num_holes_range = (0, 3)


def _transforms() -> dict[str, A.BasicTransform | A.OneOf]:
    """Fresh transforms, in the table's order; probabilities and ranges are the table's."""
    blur = [
        A.GaussianBlur(blur_limit=0, sigma_limit=(0.5, 3.0), p=1),
        # 3 to 9 pixels of path have a standard deviation of 0.8 to 2.6; unshifted, so that the mask stays right
        A.MotionBlur(blur_limit=(3, 9), allow_shifted=False, direction_range=(0, 0), p=1),
    ]
    return {
        "horizontal flip": A.HorizontalFlip(p=0.5),
        "vertical flip": A.VerticalFlip(p=0.3),
        "rotation": A.Affine(rotate=(-15, 15), border_mode=cv2.BORDER_REFLECT_101, p=0.4),
        "quarter turn": QuarterTurn(p=0.15),
        "brightness and contrast": A.RandomBrightnessContrast(
            brightness_limit=(-30 / 255, 30 / 255), contrast_limit=(-0.2, 0.2), p=0.6
        ),
        "hue and saturation": HueSaturation(hue=18, saturation=(0.7, 1.3), p=0.4),
        "Gaussian noise": A.GaussNoise(std_range=(5 / 255, 20 / 255), p=0.3),
        "blur": A.OneOf(blur, p=0.25),
        "JPEG": A.ImageCompression(quality_range=(30, 95), p=0.25),
        "rectangles": Rectangles(p=0.4),
        "specular highlights": Specular(n_blobs=(1, 3), strength=(0.3, 0.8), p=0.25),
    }


SLIDES: dict[str, A.BasicTransform | A.OneOf] = _transforms()


NOT_UPRIGHT = ("vertical flip", "quarter turn")  # eyes that no camera takes


def slides_augmentation(seed: int, upright: bool = False) -> A.Compose:
    """The whole table, each transform by its own probability; `batches.EyeDataset` draws per item from `seed`."""
    chosen = [transform for name, transform in _transforms().items() if not (upright and name in NOT_UPRIGHT)]
    return A.Compose(chosen, seed=seed)


def apply_one(name: str, image: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Apply the transform SLIDES[name] for certain; the same seed gives the same picture."""
    transform = _transforms()[name]
    transform.p = 1.0
    augment = A.Compose([transform])
    reseed(augment, seed)
    result = augment(image=image, mask=labels)
    return result["image"], result["mask"]


def reseed(augment: A.Compose, *key: int) -> None:
    """Make the next call a function of `key` alone.

    All transforms share one stream: albumentations' own set_random_seed gives each the same stream, so that each
    draws the same number against its probability, and a flipped image is nearly always blurred as well."""
    generator = np.random.default_rng(key)
    augment.set_random_state(generator, random.Random(int(generator.integers(2**63))))
