"""Lashes: strokes from the lid margins, drawn as one opacity map.

Scene and draws -> opacity (H, W) float32 in 0..1 and the lash colour."""

from types import SimpleNamespace

import cv2
import numpy as np

from cgdseg.eyes.geometry import SUB, Scene, bounds

_BEND = np.linspace(0, 1, 6)[:, None]
_BEZIER = np.hstack([np.ones_like(_BEND), 2 * _BEND * (1 - _BEND), _BEND**2])  # weights of root, elbow and tip


def draw_lashes(scene: Scene, v: SimpleNamespace) -> tuple[np.ndarray, tuple[slice, slice]] | None:
    """Return the lashes' opacity (H, W) and the box they lie in, or None where there are none."""
    rng = v.lash_stream
    canvas = np.zeros(scene.size, np.uint8)
    _upper(canvas, scene, v, rng)
    _lower(canvas, scene, v, rng)
    if v.strands:
        _loose(canvas, scene, v, rng)
    box = bounds(canvas)
    if not box:
        return None
    alpha = np.zeros(scene.size, np.float32)
    np.multiply(canvas[box], np.float32(v.lash_dark / 255), out=alpha[box])
    return alpha, box


def lash_colour(v: SimpleNamespace) -> list[float]:
    """Near black, browner for fair lashes."""
    fair = 1 - v.lash_dark
    return [0.05 + 0.3 * fair, 0.04 + 0.22 * fair, 0.04 + 0.16 * fair]


def _roots(n: int, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    """n places along a lid, partly in clumps."""
    even = np.linspace(low, high, n) + rng.normal(0, 0.6 * (high - low) / n, n)
    clump = rng.uniform(0, 0.8) * 0.03
    return (even + clump * np.sin(even * rng.uniform(25, 60) + rng.uniform(0, 6))).clip(low, high)


def _upper(canvas: np.ndarray, scene: Scene, v: SimpleNamespace, rng: np.random.Generator) -> None:
    n = round(v.upper_lashes)
    if not n:
        return
    x = _roots(n, -0.98, 0.8, rng)
    y = scene.lid(0, x) - v.rim * rng.uniform(0, 1, n)
    length = v.lash_length * rng.uniform(0.4, 1.15, n) * (0.75 + 0.25 * np.cos(1.4 * (x + 0.25)))
    fan = x * rng.uniform(0.5, 1.0) - rng.uniform(0.0, 0.25) + rng.normal(0, 0.22, n)
    fan += 0.25 * np.sin(x * rng.uniform(8, 25) + rng.uniform(0, 6))
    lift = (v.lash_lift + rng.normal(0, 0.12, n)).clip(-1, 1.2)
    # lashes start outwards and downwards, then curl up: a quadratic Bezier of root, elbow and tip
    elbow = (0.45 * fan * length, (0.28 - 0.35 * lift) * length)
    tip = (fan * length, (0.12 - 0.95 * lift) * length)
    _strokes(canvas, scene, v, np.array([(x, y), elbow, tip]), v.lash_width)


def _lower(canvas: np.ndarray, scene: Scene, v: SimpleNamespace, rng: np.random.Generator) -> None:
    n = round(v.lower_lashes)
    if not n:
        return
    x = _roots(n, -0.95, 0.55, rng)
    y = scene.lid(1, x) + v.waterline * rng.uniform(0.8, 1.5, n)
    length = rng.uniform(0.35, 0.75) * v.lash_length * rng.uniform(0.25, 1.2, n) * (1.05 - 0.3 * x)
    fan = x * rng.uniform(0.4, 0.9) - rng.uniform(0, 0.45) + rng.normal(0, 0.25, n)
    fan += 0.35 * np.sin(x * rng.uniform(12, 35) + rng.uniform(0, 6))
    elbow = (0.35 * fan * length, 0.55 * length)
    tip = (1.1 * fan * length, rng.uniform(0.6, 1.0, n) * length)
    _strokes(canvas, scene, v, np.array([(x, y), elbow, tip]), 0.75 * v.lash_width)


def _loose(canvas: np.ndarray, scene: Scene, v: SimpleNamespace, rng: np.random.Generator) -> None:
    """Long hairs that hang into the picture, near one another."""
    n = int(rng.integers(1, 9))
    start = rng.uniform((-1.6, -1.2), (1.6, 0.4)) + rng.normal(0, 0.12, (n, 2))
    run = rng.normal(0, 1.2, 2) + rng.normal(0, 0.15, (n, 2))
    bend = 0.5 * run + rng.normal(0, 0.25, 2) + rng.normal(0, 0.05, (n, 2))
    _strokes(canvas, scene, v, np.array([start.T, bend.T, run.T]), 0.8 * v.lash_width)


def _strokes(canvas, scene: Scene, v: SimpleNamespace, control: np.ndarray, width: float) -> None:
    """Draw n tapered curves: their lower half once more and thicker. Strokes under a pixel wide become fainter.

    `control` (3, 2, n) holds x and y of the root and, from there, of elbow and tip."""
    curves = (_BEZIER @ control.reshape(3, -1)).reshape(len(_BEZIER), 2, -1)  # (P, 2, n)
    points = scene.drawn(np.ascontiguousarray(curves.transpose(2, 0, 1)))  # (n, P, 2)
    pixels = width * scene.scale
    tone = int(255 * min(1.0, 0.25 + 0.75 * pixels))
    thick, thin = max(1, round(pixels)), max(1, round(0.6 * pixels))
    cv2.polylines(canvas, list(points), False, tone, thin, cv2.LINE_AA, SUB)
    if thick > thin:
        cv2.polylines(canvas, list(points[:, :3]), False, tone, thick, cv2.LINE_AA, SUB)
