"""Textures that every eye draws from: made once per process from fixed seeds, then only sliced, rolled and scaled.

All tiles are float32, periodic, zero mean and unit variance unless said otherwise. Those said to be bytes hold
LEVEL + STEPS times such a tile: a quarter of the memory, so that they stay in the processor's cache."""

import functools
import itertools
from collections.abc import Callable

import cv2
import numpy as np

TILE = 512
FOLD_ROW = 300  # of `folds`: where the lid margin lies
LEVEL, STEPS = 128, 30
CELL = 8  # texels of `soft`


def _filtered(seed: int, response) -> np.ndarray:
    """White noise shaped by `response(fx, fy)`, frequencies in cycles per tile."""
    noise = np.random.default_rng(seed).standard_normal((TILE, TILE))
    f = np.fft.fftfreq(TILE, 1 / TILE)
    shaped = np.fft.ifft2(np.fft.fft2(noise) * response(f[None, :], f[:, None])).real
    return np.ascontiguousarray((shaped - shaped.mean()) / shaped.std(), np.float32)


def _bytes(tile: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(tile * STEPS + LEVEL), 0, 255).astype(np.uint8)


@functools.cache
def white() -> np.ndarray:
    return np.random.default_rng(11).standard_normal((TILE, TILE), dtype=np.float32)


@functools.cache
def clouds() -> np.ndarray:
    """Soft clouds with detail at every size."""
    return _filtered(12, lambda x, y: 1 / (3 + np.hypot(x, y)) ** 1.6)


@functools.cache
def soft() -> np.ndarray:
    """Smooth noise with cells CELL texels wide; a little under unit variance."""
    noise = np.random.default_rng(22).standard_normal((TILE // CELL, TILE // CELL), dtype=np.float32)
    wide = cv2.resize(np.pad(noise, 2, "wrap"), None, fx=CELL, fy=CELL, interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(wide[2 * CELL : -2 * CELL, 2 * CELL : -2 * CELL])


@functools.cache
def pores() -> np.ndarray:
    """Fine skin: cells a few texels wide, lit from above, and an uneven tone."""
    relief = _filtered(13, lambda x, y: np.exp(-(((np.hypot(x, y) - 70) / 38) ** 2)) * (y + 0.6 * x) / 70 * 1j)
    mesh = _filtered(14, lambda x, y: np.exp(-(((np.hypot(x, y) - 40) / 25) ** 2)))
    uneven = _filtered(21, lambda x, y: 1 / (2 + np.hypot(x, y)) ** 1.5)
    return (0.75 * relief + 0.35 * np.abs(mesh) - 0.28 + 0.5 * uneven).astype(np.float32)


@functools.cache
def folds() -> np.ndarray:
    """Wrinkles along x, lit from above, on (TILE, 2 TILE), bytes; they fade out above and below row FOLD_ROW."""
    ridges = _filtered(15, lambda x, y: np.exp(-((x / 9) ** 2)) * np.exp(-(((np.abs(y) - 26) / 16) ** 2)))
    wide = _filtered(16, lambda x, y: np.exp(-((x / 4) ** 2)) * np.exp(-(((np.abs(y) - 10) / 6) ** 2)))
    lines = -np.exp(-np.abs(ridges) * 2.2) - 0.8 * np.exp(-np.abs(wide) * 2.5)
    lines = np.tile((lines - lines.mean()) / lines.std(), 2)
    far = (np.arange(TILE)[:, None] - FOLD_ROW) / 170  # as w in skin.py
    return _bytes(lines * np.exp(-((far / np.where(far < 0, 1.1, 0.85)) ** 4)))


@functools.cache
def fibres() -> np.ndarray:
    """Iris fibres over (radius, angle): fine across the angle, long over the radius."""
    fine = _filtered(17, lambda x, y: np.exp(-((y / 7) ** 2)) * np.exp(-(((np.abs(x) - 75) / 45) ** 2)))
    coarse = _filtered(18, lambda x, y: np.exp(-((y / 6) ** 2)) * np.exp(-(((np.abs(x) - 18) / 14) ** 2)))
    return (0.75 * fine + 0.65 * coarse).astype(np.float32)


@functools.cache
def iris_textures(rows: int, columns: int) -> np.ndarray:
    """`fibres` and `clouds` shrunk to (2, rows, columns + 1); the last column is the first once more."""
    tiles = [cv2.resize(tile, (columns, rows), interpolation=cv2.INTER_AREA) for tile in (fibres(), clouds())]
    return np.pad(np.array(tiles), ((0, 0), (0, 0), (0, 1)), "wrap")


@functools.cache
def vessels() -> np.ndarray:
    """Branching blood vessels, 0..255, that run along x, on (2 TILE, 2 TILE) uint8."""
    rng = np.random.default_rng(19)
    canvas = np.zeros((TILE, TILE), np.uint8)
    for _ in range(75):
        _branch(canvas, rng, rng.uniform(0, TILE, 2), rng.choice([0.0, np.pi]), rng.uniform(1.0, 3.2), 0)
    soft = cv2.GaussianBlur(canvas, (0, 0), 0.8).astype(np.float32) / 255
    deep = cv2.GaussianBlur(canvas, (0, 0), 5).astype(np.float32) / 255
    return np.tile((np.clip(soft + 0.6 * deep, 0, 1) * 255 + 0.5).astype(np.uint8), (2, 2))


def _branch(canvas: np.ndarray, rng: np.random.Generator, start, heading: float, width: float, depth: int) -> None:
    n = int(rng.integers(12, 34))
    turns = heading + np.cumsum(rng.normal(0, 0.28, n)) * 0.8
    points = start + np.cumsum(np.stack([np.cos(turns), np.sin(turns)], 1) * rng.uniform(5, 9), 0)
    tone = int(np.clip(95 + 60 * (width - 1), 60, 230))
    for shift in itertools.product((-TILE, 0, TILE), repeat=2):
        wrapped = ((points + shift) * 8).astype(np.int32)
        cv2.polylines(canvas, [wrapped], False, tone, max(1, round(width)), cv2.LINE_AA, 3)
    if depth < 2:
        for i in rng.integers(3, n, 2):
            _branch(canvas, rng, points[i], turns[i] + rng.choice([-0.6, 0.6]), width * 0.65, depth + 1)


@functools.cache
def brow(variant: int) -> np.ndarray:
    """Opacity of an eyebrow, 0..255, over (across, along) uint8; it starts at the nose, which is right."""
    rng = np.random.default_rng(20 + variant)
    height, width = 160, 420
    clear = np.ones((height, width), np.float32)
    n, bend = 90 + 20 * (variant % 3), np.linspace(0, 1, 5)[:, None]
    for _ in range(12):  # layers of hairs over one another
        along = rng.beta(1.3, 1.15, n)  # 0 at the nose, 1 at the temple
        spread = 0.24 * (1 - 0.75 * along**1.5) * np.minimum(1.0, 0.4 + along * 4)
        roots = np.stack([width * (0.9 - 0.76 * along), height * (0.53 + spread * rng.uniform(-1, 1, n))], 1)
        lean = np.clip(1.5 - 1.7 * along + rng.normal(0, 0.25, n), -0.5, 1.8)
        tips = -np.stack([np.cos(lean), np.sin(lean)], 1) * rng.uniform(16, 34, (n, 1))
        curl = np.stack([np.full(n, -8.0), -6 * np.sign(roots[:, 1] - height / 2)], 1)
        hairs = roots[:, None] + bend * tips[:, None] + bend**2 * curl[:, None]
        layer = np.zeros((height, width), np.uint8)
        cv2.polylines(layer, list((hairs * 8).astype(np.int32)), False, int(rng.uniform(90, 200)), 1, cv2.LINE_AA, 3)
        clear *= 1 - layer.astype(np.float32) / 255
    return ((1 - clear) * 255 + 0.5).astype(np.uint8)


def patch(tile: np.ndarray, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A random (height, width) part of a tile; a view where the tile is large enough."""
    rows, columns = tile.shape
    if height > rows or width > columns:
        tile = cv2.copyMakeBorder(tile, 0, max(0, height - rows), 0, max(0, width - columns), cv2.BORDER_WRAP)
        rows, columns = tile.shape
    y, x = int(rng.random() * (rows - height + 1)), int(rng.random() * (columns - width + 1))
    return tile[y : y + height, x : x + width]


@functools.cache
def _every(tile: Callable[[], np.ndarray], n: int) -> np.ndarray:
    return np.ascontiguousarray(tile()[::n, ::n])


def scaled(
    tile: Callable[[], np.ndarray], rng: np.random.Generator, height: int, width: int, texels: float
) -> np.ndarray:
    """A random part of a tile, seen at `texels` texels per pixel, as (height, width)."""
    texels = min(texels, (TILE - 1) / max(height, width))
    n = max(1, int(texels))  # texels between those looked at would be skipped, and their memory read in vain
    texels /= n
    look = cv2.INTER_LINEAR if n == 1 else cv2.INTER_NEAREST  # linear would smooth over n texels
    part = patch(_every(tile, n), rng, max(2, round(height * texels)), max(2, round(width * texels)))
    return cv2.resize(part, (width, height), interpolation=look)


def between(rows: np.ndarray, place: float) -> np.ndarray:
    """Row `place` of a table (n, K), linearly interpolated; beyond its ends the first or last row."""
    place = min(max(place, 0), len(rows) - 1)
    i = min(int(place), len(rows) - 2)
    return rows[i] + (place - i) * (rows[i + 1] - rows[i])


def soft_field(rng: np.random.Generator, cells: int, height: int, width: int) -> np.ndarray:
    """Smooth random field of about unit variance with `cells` cells over the longer side."""
    return scaled(soft, rng, height, width, CELL * cells / max(height, width))
