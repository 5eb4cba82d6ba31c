"""Mirror images on the wet eye: windows, softboxes, ring lights, flashes, tear film.

Scene and draws -> added light (h, w) float32 inside scene.box, 0..1."""

import functools
import math
from types import SimpleNamespace

import cv2
import numpy as np

from cgdseg.eyes import banks
from cgdseg.eyes.geometry import SUB, Scene

_ALONG = np.linspace(0, 1, 8)
_ROUND = np.linspace(0, 2 * math.pi, 12, endpoint=False)


def draw_reflections(scene: Scene, v: SimpleNamespace) -> np.ndarray:
    """Return the brightness (h, w) that the eye's wet surface mirrors."""
    rng = v.surface_stream
    canvas = np.zeros(scene.ball.x.shape, np.uint8)
    corner = (scene.box[1].start, scene.box[0].start)
    radius = v.iris_size
    centre = np.array([v.eyeball_x, v.eyeball_y]) + v.eyeball_radius * np.array(scene.gaze[:2])
    spot = rng.normal(0, 0.28, 2) + (0.0, -0.15)
    for _ in range(int(v.reflections)):
        shape = int(np.searchsorted(_SHARES, rng.random()))
        size = radius * v.reflection_size * rng.uniform(0.5, 1.2)
        at = centre + radius * spot.clip(-0.8, 0.8)
        light = 255 * v.reflection_light * rng.uniform(0.75, 1.1)
        for polygon, gain in _SHAPES[shape](rng):
            tone = int(min(light * gain, 255))
            cv2.fillPoly(canvas, [scene.drawn(at + size * polygon, corner)], tone, cv2.LINE_AA, SUB)
        spot = spot + rng.normal(0, 0.5, 2)
    _wet(canvas, scene, v, rng, corner)
    sigma = max(0.35, 0.006 * scene.scale)
    n = 2 * round(2.5 * sigma) + 1
    bright = cv2.GaussianBlur(canvas, (n, n), sigma)
    scenery = banks.soft_field(rng, 26, *canvas.shape)  # what is mirrored is not evenly lit
    scenery *= rng.uniform(0, 0.5) / 255
    scenery += 0.85 / 255
    scenery *= bright
    return scenery.clip(0, 1, out=scenery)


def environment(scene: Scene, v: SimpleNamespace) -> np.ndarray | None:
    """The dim mirror image of sky, room and lashes on the cornea (h, w), or None."""
    if not v.environment:
        return None
    ball = scene.ball
    rng = v.surface_stream
    height, width = ball.x.shape
    picture = banks.soft_field(rng, 7, height, width)
    picture = cv2.addWeighted(picture, 0.35, ball.iris_y, rng.uniform(-1, 1), 0.5, picture)
    cornea = ball.radius2 * -5
    cornea += 1.05 * 5
    picture = cv2.multiply(picture, cornea.clip(0, 1, out=cornea), picture, v.environment)
    return cv2.max(picture, 0, picture)


def _wet(canvas: np.ndarray, scene: Scene, v: SimpleNamespace, rng: np.random.Generator, corner: tuple) -> None:
    """Tear film along the lower lid and small highlights on sclera and caruncle."""
    width = max(1, round(0.018 * scene.scale))
    if v.tear_line > 0.08:
        for _ in range(int(rng.integers(1, 4))):
            start = rng.uniform(-0.8, 0.7)
            x = start + (min(start + rng.uniform(0.08, 0.6), 0.92) - start) * _ALONG
            points = scene.drawn(np.array([x, scene.lid(1, x) - 0.008]).T, corner)
            tone = int(255 * v.tear_line * rng.uniform(0.4, 1.0))
            cv2.polylines(canvas, [points], False, tone, width, cv2.LINE_AA, SUB)
    n = int(v.wet_spots)
    if not n:
        return
    nasal = rng.random(n) < 0.6
    x = np.where(nasal, rng.uniform(v.caruncle_start - 0.06, 1.0, n), rng.uniform(-0.9, 0.8, n))
    upper, lower = scene.lid(0, x), scene.lid(1, x)
    y = upper + (lower - upper) * rng.uniform(0.3, 0.95, n)
    wide, high = rng.uniform(0.015, 0.07, (n, 1)), rng.uniform(0.006, 0.022, (n, 1))
    turn = rng.uniform(-1.2, 1.2, (n, 1))
    outlines = np.empty((n, len(_ROUND), 2))
    outlines[..., 0] = x[:, None] + wide * np.cos(_ROUND + turn)
    outlines[..., 1] = y[:, None] + high * np.sin(_ROUND)
    tones = 255 * v.reflection_light * rng.uniform(0.35, 1.0, n)
    for spot, tone in zip(scene.drawn(outlines, corner), tones.astype(int).tolist(), strict=True):
        cv2.fillPoly(canvas, [spot], tone, cv2.LINE_AA, SUB)


@functools.cache
def _ellipse(n: int) -> np.ndarray:
    t = np.linspace(0, 2 * math.pi, n, endpoint=False)
    return np.stack([np.cos(t), np.sin(t)], 1)


def _quad(rng: np.random.Generator, cx: float, cy: float, w: float, h: float, skew: np.ndarray) -> np.ndarray:
    corners = np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) + (cx, cy)
    return corners + skew * corners[:, ::-1]


def _window(rng: np.random.Generator) -> list:
    """A window: panes with bars between them."""
    columns, rows = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    tall, skew, bar = rng.uniform(0.7, 1.7), rng.normal(0, 0.12, 2), rng.uniform(0.82, 0.94)
    panes = []
    for i in range(columns):
        for j in range(rows):
            cx, cy = (2 * i + 1) / columns - 1, tall * ((2 * j + 1) / rows - 1)
            panes.append((_quad(rng, cx, cy, bar / columns, bar * tall / rows, skew), rng.uniform(0.75, 1.0)))
    return panes


def _softbox(rng: np.random.Generator) -> list:
    skew = rng.normal(0, 0.15, 2)
    outline = _quad(rng, 0, 0, 1.0, rng.uniform(0.4, 1.6), skew)
    return [(outline, 1.0), (outline * 0.6, rng.uniform(0.8, 1.1))]


def _disc(rng: np.random.Generator) -> list:
    return [(_ellipse(18) * rng.uniform(0.35, 0.8), 1.0)]


def _flash(rng: np.random.Generator) -> list:
    return [(_ellipse(10) * 0.22, 1.2)]


def _ring(rng: np.random.Generator) -> list:
    return [(_ellipse(28) * 1.3, 1.0), (_ellipse(28) * 1.3 * rng.uniform(0.65, 0.85), rng.uniform(0.0, 0.15))]


def _rag(rng: np.random.Generator) -> list:
    """An irregular bright patch: trees, faces, a phone."""
    t = np.sort(rng.uniform(0, 2 * math.pi, 9))
    return [(np.stack([np.cos(t), np.sin(t)], 1) * rng.uniform(0.35, 1.2, (9, 1)), rng.uniform(0.6, 1.0))]


_SHAPES = (_window, _softbox, _disc, _flash, _ring, _rag)
_SHARES = np.cumsum((0.3, 0.18, 0.14, 0.2, 0.06))  # the last takes the rest
