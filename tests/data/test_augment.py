"""Augmentations: what the slides list, in the right chances and strengths, and images and masks moved as one."""

import warnings

import albumentations as A
import cv2
import numpy as np
import pytest
from tiny_data import draw_eye

from cgdseg.data.augment import SLIDES, QuarterTurn, apply_one, reseed, slides_augmentation

GEOMETRIC = {"horizontal flip", "vertical flip", "rotation", "quarter turn"}


IMAGE, LABELS = draw_eye(5, (64, 96))


def test_the_table_is_the_slides():
    chances = [0.5, 0.3, 0.4, 0.15, 0.6, 0.4, 0.3, 0.25, 0.25, 0.4, 0.25]
    assert [transform.p for transform in SLIDES.values()] == chances and A.__version__ == "2.0.8"


@pytest.mark.parametrize("size", [(64, 64), (63, 84), (48, 32)])
@pytest.mark.parametrize("name", SLIDES)
def test_every_transform_runs_and_keeps_masks_valid(name, size):
    image, labels = draw_eye(5, size)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = [apply_one(name, image, labels, seed) for seed in range(12)]
    for pixels, mask in results:
        assert pixels.shape == image.shape and mask.shape == labels.shape
        assert pixels.dtype == mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 1, 2, 3}
        assert np.array_equal(mask, labels) or name in GEOMETRIC
        assert (mask == 1).any()
    assert any(not np.array_equal(pixels, image) for pixels, _ in results)
    pixels, mask = apply_one(name, image, labels, 3)
    assert np.array_equal(pixels, results[3][0]) and np.array_equal(mask, results[3][1])


@pytest.mark.parametrize("name", sorted(GEOMETRIC))
@pytest.mark.parametrize("size", [(64, 64), (63, 84)])
def test_image_and_mask_move_together(name, size):
    _, labels = draw_eye(5, size)
    image = np.repeat((labels * 80)[..., None], 3, axis=2)
    for seed in range(6):
        pixels, mask = apply_one(name, image, labels, seed)
        assert (np.abs(pixels[..., 0].astype(int) - mask * 80) > 60).mean() < 0.03  # but for blended edges


def test_quarter_turns_are_all_three_and_exact_on_squares():
    square, labels = draw_eye(5, (64, 64))
    turns = {
        k
        for seed in range(20)
        for k in (1, 2, 3)
        if np.array_equal(apply_one("quarter turn", square, labels, seed)[0], np.rot90(square, k))
    }
    assert turns == {1, 2, 3}
    assert QuarterTurn()._turn(np.zeros((10, 20), np.uint8), 1, cv2.INTER_NEAREST_EXACT).shape == (10, 20)


def test_strengths_are_the_tables():
    grey = np.full((64, 64, 3), 100, np.uint8)
    labels = np.zeros((64, 64), np.uint8)
    names = ("brightness and contrast", "Gaussian noise", "specular highlights", "rectangles")
    many = {name: [apply_one(name, grey, labels, seed)[0].astype(float) for seed in range(150)] for name in names}
    shifts = [pixels.mean() for pixels in many["brightness and contrast"]]
    assert 50 <= min(shifts) < 65 and 135 < max(shifts) <= 150  # 0.8 x 100 - 30 to 1.2 x 100 + 30
    noise = [(pixels - 100).std() for pixels in many["Gaussian noise"]]
    assert 4.5 < min(noise) < 7 and 18 < max(noise) < 20.5  # the library cuts the noise towards zero
    peaks = [pixels.max() - 100 for pixels in many["specular highlights"]]
    assert max(peaks) <= 155 and sum(peak > 0.25 * 255 for peak in peaks) > 100
    assert all((pixels >= 100).all() for pixels in many["specular highlights"])
    counts = {len(np.unique(pixels.reshape(-1, 3), axis=0)) - 1 for pixels in many["rectangles"]}
    assert counts == {0, 1, 2, 3}


def test_hue_and_saturation_ranges():
    hsv = np.zeros((16, 16, 3), np.uint8)
    hsv[:] = (90, 150, 200)
    image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    labels = np.zeros((16, 16), np.uint8)
    seen = [apply_one("hue and saturation", image, labels, seed)[0] for seed in range(200)]
    hue, saturation, value = np.array([cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)[0, 0] for pixels in seen]).T.astype(int)
    assert 70 <= hue.min() <= 76 and 104 <= hue.max() <= 110
    assert 0.68 < saturation.min() / 150 < 0.74 and 1.26 < saturation.max() / 150 < 1.32
    assert np.ptp(value) <= 1


def test_blur_does_not_move_the_image():
    image = np.zeros((65, 65, 3), np.uint8)
    image[32, 32] = 255
    for seed in range(30):
        weights = apply_one("blur", image, image[..., 0], seed)[0][..., 0].astype(float)
        where = np.argwhere(weights > 0)
        centre = (where * weights[tuple(where.T)][:, None]).sum(axis=0) / weights.sum()
        assert np.abs(centre - 32).max() < 0.6


def test_transforms_are_drawn_independently():
    """Their rates are the table's, and one says nothing about another (the library's own seeding fails this)."""
    augment = slides_augmentation(seed=0)
    augment.transforms = [transform for transform in augment.transforms if not isinstance(transform, A.OneOf)]
    applied = []
    for item in range(1500):
        reseed(augment, 0, 0, item)
        augment(image=IMAGE[:32, :32].copy(), mask=LABELS[:32, :32].copy())
        applied.append([bool(transform.params) for transform in augment.transforms])
    applied = np.array(applied, float)
    assert np.abs(applied.mean(axis=0) - [transform.p for transform in augment.transforms]).max() < 0.05
    correlation = np.corrcoef(applied.T)
    assert np.abs(correlation - np.eye(len(correlation))).max() < 0.12
