"""What can be measured in a photograph of an eye and its mask, and moved: size, colour, exposure, reflections, blur,
noise.

An Eye is an image (H, W, 3) uint8 RGB and its sclera (H, W) bool. A Move measures a vector of statistics of an eye, and
changes an eye so that it has other ones. Everything is measured at the size that the model sees."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np

DARK = 4.0  # grey levels that are added before a logarithm: darker differences are noise
OPPONENT = np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]], np.float32) / np.sqrt([[3], [6], [2]]).astype(np.float32)
MIN_SPREAD = 0.01  # of an opponent plane: below it an image is flat, and there is nothing to stretch
GAIN = (0.25, 4.0)  # limits of a contrast change
ZOOM = (0.3, 3.0)  # limits of a change of size
BLURS = (0.4, 0.6, 0.8, 1.0, 1.3, 1.7, 2.2, 3.0)  # Gaussian deviations that are tried, in pixels
SHARPENINGS = (0.3, 0.7, 1.2, 2.0, 3.0)  # strengths of an unsharp mask of 1 pixel that are tried
FINE_NOISE, MIDDLE_NOISE = 0.761, 0.036  # variance that white noise of variance 1 has in the two bands of `sharpness`
BLOCK = 8  # Haar details along a side of the blocks that noise is measured in
QUARTILE = 0.91  # first quartile over blocks of this size, of noise of deviation 1 (simulated)
GREY_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as OpenCV
GLINT = (0.85, 0.15)  # a reflection's brightness and its step over the surroundings, of the brightest pixels
GLINT_SIZE = 0.02  # of the eye's box: a brighter patch is larger than a lamp's reflection


class MovedEye(NamedTuple):
    """One image (H, W, 3) uint8 and its sclera (H, W) bool."""

    image: np.ndarray
    sclera: np.ndarray


class Move(NamedTuple):
    """`measure(eye)` -> statistics (S,), NaN where an eye has none; `apply(eye, goal (S,), rng)` -> the eye moved."""

    measure: Callable[[MovedEye], np.ndarray]
    apply: Callable[[MovedEye, np.ndarray, np.random.Generator], MovedEye]


def box(sclera: np.ndarray) -> tuple[int, int, int, int] | None:
    """Smallest box round the sclera as (left, top, width, height); None for a closed eye."""
    return cv2.boundingRect(sclera.astype(np.uint8)) if sclera.any() else None


def measure_size(eye: MovedEye) -> np.ndarray:
    """Width of the sclera's box over that of the frame: how many pixels the eye gets."""
    found = box(eye.sclera)
    return np.array([found[2] / eye.sclera.shape[1] if found else np.nan])


def apply_size(eye: MovedEye, goal: np.ndarray, _rng) -> MovedEye:
    """Scale the eye about its own centre, image and mask alike; the border is drawn out over what comes into view."""
    found = box(eye.sclera)
    if found is None:
        return eye
    height, width = eye.sclera.shape
    zoom = float(np.clip(goal[0] * width / found[2], *ZOOM))
    x, y = found[0] + found[2] / 2, found[1] + found[3] / 2
    place = np.array([[zoom, 0, x - zoom * x], [0, zoom, y - zoom * y]])
    image = eye.image
    if zoom < 1:  # what a coarser grid of pixels averages
        image = cv2.GaussianBlur(image, (0, 0), 0.5 * np.sqrt(1 / zoom**2 - 1) + 1e-3)
    moved = cv2.warpAffine(image, place, (width, height), borderMode=cv2.BORDER_REPLICATE)
    sclera = cv2.warpAffine(eye.sclera.astype(np.uint8), place, (width, height), flags=cv2.INTER_NEAREST)
    return MovedEye(moved, sclera.astype(bool))


def to_opponent(image: np.ndarray) -> np.ndarray:
    """RGB uint8 -> lightness, yellow-blue and red-green (H, W, 3) of log RGB, after Reinhard et al. 2001.

    They take logs of cone responses. In logs the strength of the light adds to lightness alone; a gamma scales all."""
    return np.log(image.astype(np.float32) + DARK) @ OPPONENT.T


def from_opponent(planes: np.ndarray) -> np.ndarray:
    return np.clip(np.round(np.exp(planes @ OPPONENT) - DARK), 0, 255).astype(np.uint8)


def measure_colour(eye: MovedEye) -> np.ndarray:
    """Means of the two colour planes, then their deviations."""
    chroma = to_opponent(eye.image)[..., 1:].reshape(-1, 2)
    return np.concatenate([chroma.mean(axis=0), chroma.std(axis=0)])


def measure_exposure(eye: MovedEye) -> np.ndarray:
    """Mean of the lightness, then its deviation."""
    light = to_opponent(eye.image)[..., 0]
    return np.array([light.mean(), light.std()])


def stretch(eye: MovedEye, goal: np.ndarray, _rng, chosen: slice) -> MovedEye:
    """Give chosen planes other means, then deviations: of the lightness, a gain and a gamma.

    What gets too bright is clipped, as in a camera."""
    planes, (mean, spread) = to_opponent(eye.image), np.split(goal, 2)
    values = planes[..., chosen]
    middle, own = values.mean(axis=(0, 1)), values.std(axis=(0, 1))
    gain = np.where(own > MIN_SPREAD, np.clip(spread / np.maximum(own, MIN_SPREAD), *GAIN), 1)
    planes[..., chosen] = (values - middle) * gain + mean
    return MovedEye(from_opponent(planes), eye.sclera)


def grey(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32) @ GREY_WEIGHTS


def noise_level(light: np.ndarray) -> float:
    """Median absolute diagonal Haar detail / 0.6745 (Donoho and Johnstone 1994), of a quiet block of the frame.

    Lashes and pores have details too, but not everywhere as noise has: so the first quartile of blocks is taken."""
    even = light[: light.shape[0] // 2 * 2, : light.shape[1] // 2 * 2]
    detail = np.abs(even[::2, ::2] - even[::2, 1::2] - even[1::2, ::2] + even[1::2, 1::2]) / 2
    height, width = detail.shape
    side = min(BLOCK, height, width)
    rows, columns = height // side, width // side
    blocks = detail[: rows * side, : columns * side].reshape(rows, side, columns, side).swapaxes(1, 2)
    quiet = np.percentile(np.median(blocks.reshape(rows * columns, -1), axis=1), 25)
    return float(quiet / (0.6745 * QUARTILE))


def apply_noise(eye: MovedEye, goal: np.ndarray, rng: np.random.Generator) -> MovedEye:
    """Add Gaussian noise to each channel, or blend with a bilateral filter's picture where there is too much of it."""
    own = noise_level(grey(eye.image))
    if goal[0] >= own:
        deviation = np.sqrt(goal[0] ** 2 - own**2) / np.linalg.norm(GREY_WEIGHTS)
        noisy = eye.image + rng.normal(0, 1, eye.image.shape) * deviation
        return MovedEye(np.clip(np.round(noisy), 0, 255).astype(np.uint8), eye.sclera)
    smooth = cv2.bilateralFilter(eye.image, 5, 4 * own + 4, 1.5)
    share = np.clip((own - goal[0]) / max(own - noise_level(grey(smooth)), 1e-6), 0, 1)
    return MovedEye(cv2.addWeighted(smooth, share, eye.image, 1 - share, 0), eye.sclera)


def sharpness(image: np.ndarray) -> float:
    """Deviation of the finest details over that of the next coarser ones, without what noise puts there.

    Bands between Gaussians of 0, 1 and 2 pixels; a ratio, so that contrast does not count."""
    light = grey(image)
    once, twice = cv2.GaussianBlur(light, (0, 0), 1), cv2.GaussianBlur(light, (0, 0), 2)
    fine, middle, noise = (light - once).var(), (once - twice).var(), noise_level(light) ** 2
    fine, middle = max(fine - FINE_NOISE * noise, 0.05 * fine), max(middle - MIDDLE_NOISE * noise, 0.05 * middle)
    return float(np.sqrt(fine / max(middle, 1e-6)))


def apply_blur(eye: MovedEye, goal: np.ndarray, _rng) -> MovedEye:
    """Blur, or sharpen by an unsharp mask, to the strength that comes nearest to the sharpness asked for."""
    softer = goal[0] < sharpness(eye.image)
    strengths = [0.0, *(BLURS if softer else SHARPENINGS)]
    change = _blurred if softer else _sharpened
    reached = np.array([sharpness(change(eye.image, strength)) for strength in strengths])
    reached = np.minimum.accumulate(reached) if softer else np.maximum.accumulate(reached)
    order = np.argsort(reached, kind="stable")
    strength = float(np.interp(goal[0], reached[order], np.array(strengths)[order]))
    return MovedEye(change(eye.image, strength), eye.sclera)


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), sigma) if sigma > 0.05 else image


def _sharpened(image: np.ndarray, strength: float) -> np.ndarray:
    return cv2.addWeighted(image, 1 + strength, cv2.GaussianBlur(image, (0, 0), 1), -strength, 0)


def measure_reflections(eye: MovedEye) -> np.ndarray:
    """Share of the eye's box that small bright spots cover."""
    found = box(eye.sclera)
    return np.array([glints(eye).sum() / (found[2] * found[3]) if found else np.nan])


def glints(eye: MovedEye) -> np.ndarray:
    """Where in the eye's box an image is nearly as bright as anywhere and much brighter than close by: (H, W) bool."""
    spots = np.zeros(eye.sclera.shape, bool)
    found = box(eye.sclera)
    if found is None:
        return spots
    left, top, width, height = found
    light = cv2.cvtColor(eye.image, cv2.COLOR_RGB2GRAY)
    top_light = np.percentile(light, 99.8)
    reach = max(3, round(0.16 * width)) | 1
    step = cv2.morphologyEx(light, cv2.MORPH_TOPHAT, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    bright = (light >= GLINT[0] * top_light) & (step >= GLINT[1] * top_light)
    inside = (slice(top, top + height), slice(left, left + width))
    spots[inside] = bright[inside]
    count, parts, facts, _ = cv2.connectedComponentsWithStats(spots.astype(np.uint8))
    large = [i for i in range(1, count) if facts[i, cv2.CC_STAT_AREA] > GLINT_SIZE * width * height]
    return spots & ~np.isin(parts, large)


def apply_reflections(eye: MovedEye, goal: np.ndarray, rng: np.random.Generator) -> MovedEye:
    """Paint white spots into the opening of the eye, or paint over those there are, smallest first."""
    found = box(eye.sclera)
    if found is None:
        return eye
    present, wanted = glints(eye), goal[0] * found[2] * found[3]
    if wanted < present.sum():
        return MovedEye(_without_glints(eye.image, present, wanted), eye.sclera)
    missing = wanted - present.sum()
    if missing < 1:
        return eye
    outline = cv2.convexHull(np.argwhere(eye.sclera)[:, ::-1].astype(np.int32))
    opening = cv2.fillConvexPoly(np.zeros(eye.sclera.shape, np.uint8), outline, 1)
    places = np.argwhere(cv2.erode(opening, np.ones((3, 3))) > 0)
    if not len(places):
        return eye
    n_spots = int(np.clip(round(missing / (0.5 * GLINT_SIZE * found[2] * found[3])), 1, 6))
    radius = np.sqrt(missing / n_spots / np.pi)
    rows, columns = np.indices(eye.sclera.shape, dtype=np.float32)
    cover = np.zeros(eye.sclera.shape, np.float32)
    for y, x in places[rng.integers(len(places), size=n_spots)]:
        cover = np.maximum(cover, np.clip(radius + 0.5 - np.hypot(rows - y, columns - x), 0, 1))
    painted = eye.image + cover[..., None] * (255.0 - eye.image)
    return MovedEye(np.round(painted).astype(np.uint8), eye.sclera)


def _without_glints(image: np.ndarray, present: np.ndarray, wanted: float) -> np.ndarray:
    """An image whose reflections cover no more than `wanted` pixels: the smallest are filled in from around."""
    count, parts, facts, _ = cv2.connectedComponentsWithStats(present.astype(np.uint8))
    left, gone = present.sum(), []
    for i in sorted(range(1, count), key=lambda i: facts[i, cv2.CC_STAT_AREA]):
        if left <= wanted:
            break
        gone.append(i)
        left -= facts[i, cv2.CC_STAT_AREA]
    hole = cv2.dilate(np.isin(parts, gone).astype(np.uint8), np.ones((3, 3)))
    return cv2.inpaint(image, hole, 3, cv2.INPAINT_TELEA)


MOVES: dict[str, Move] = {  # in the order of the light's way: the eye, its light, the lens, the sensor
    "resolution": Move(measure_size, apply_size),
    "colour": Move(measure_colour, partial(stretch, chosen=slice(1, 3))),
    "exposure": Move(measure_exposure, partial(stretch, chosen=slice(0, 1))),
    "reflections": Move(measure_reflections, apply_reflections),
    "blur": Move(lambda eye: np.array([sharpness(eye.image)]), apply_blur),
    "noise": Move(lambda eye: np.array([noise_level(grey(eye.image))]), apply_noise),
}


def gaze_of(sclera: np.ndarray) -> float:
    """How far aside an eye looks, as its mask shows it: the sclera's centre of mass off the middle of its box.

    In half box widths, 0 for a straight look; unsigned, because left and right are mirror images. NaN: closed."""
    found = box(sclera)
    if found is None:
        return np.nan
    return abs(np.nonzero(sclera)[1].mean() + 0.5 - found[0] - found[2] / 2) / (found[2] / 2)


MIXES: dict[str, Callable[[np.ndarray], float]] = {  # what no picture can be moved in, only counted more or less
    "gaze mix": gaze_of,
    "sclera fraction": lambda sclera: float(sclera.mean()),
}
