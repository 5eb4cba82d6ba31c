"""The skin around the eye: lids, crease, socket, cheek, wrinkles, pores, eyebrow.

Scene and draws -> planes (3, H, W) float32, display values near 0..1 before the light of the scene.

Everything that follows the lids is a small table over (distance from the lid, x): a sum of profile products in the
logarithm of the colour, looked up once per pixel."""

import functools
from types import SimpleNamespace

import cv2
import numpy as np

from cgdseg.eyes import banks
from cgdseg.eyes.geometry import Scene

# Depth below the lid margin as w: w < 0 on the upper side, distance = w^2 in crease heights; w > 0 below, in units.
W_LOW, W_HIGH, W_CELLS = -3.4, 1.7, 200
X_REACH, X_CELLS = 2.4, 33
_W = np.linspace(W_LOW, W_HIGH, W_CELLS, dtype=np.float32)
_UP = np.where(_W < 0, _W**2, 0.0)
_DOWN = np.where(_W > 0, _W**2, 0.0)
_IS_UP = (_W <= 0).astype(np.float32)
_IS_DOWN = 1 - _IS_UP
_KX = np.linspace(-X_REACH, X_REACH, X_CELLS, dtype=np.float32)

_TONES = np.array([[0.95, 0.79, 0.71], [0.87, 0.66, 0.55], [0.74, 0.52, 0.4], [0.52, 0.34, 0.25], [0.3, 0.19, 0.14]])
_RED = np.array([0.02, -0.16, -0.12])  # directions in log colour
_YELLOW = np.array([0.02, 0.0, -0.18])
_PINK = np.array([0.03, -0.2, -0.14])
_BROWN = np.array([-0.3, -0.42, -0.4])
_GREY = np.ones(3)
# Cubic interpolation as two products: a field with cells of about half a unit on the skin, over the whole table
_FIELD = (13, 11)
_FIELD_W, _FIELD_X = (
    cv2.resize(np.eye(n, dtype=np.float32), (n, cells), interpolation=cv2.INTER_CUBIC)
    for n, cells in zip(_FIELD, (W_CELLS, X_CELLS), strict=True)
)
_CLOUD_COLOURS = np.array([[0.05, 0.02], [0.05, -0.06], [0.05, -0.045]], np.float32)  # log RGB of light and red clouds


def skin_colour(v: SimpleNamespace) -> np.ndarray:
    """The person's skin colour (3,), RGB."""
    return banks.between(_TONES, v.skin_tone * (len(_TONES) - 1)) * np.exp(v.skin_red * _RED + v.skin_yellow * _YELLOW)


def paint_skin(scene: Scene, v: SimpleNamespace) -> np.ndarray:
    """Return the whole frame as if the eye were shut along its lids: (3, H, W)."""
    height, width = scene.size
    rng = v.skin_stream
    above = scene.upper - scene.y
    above /= scene.crease
    w = cv2.sqrt(cv2.max(scene.y - scene.lower, 0))
    w -= cv2.sqrt(cv2.max(above, 0))
    column = scene.x * ((X_CELLS - 1) / (2 * X_REACH))
    column += (X_CELLS - 1) / 2
    row = w * ((W_CELLS - 1) / (W_HIGH - W_LOW))
    row -= W_LOW * ((W_CELLS - 1) / (W_HIGH - W_LOW))
    table = _table(v, rng)
    seen = cv2.remap(table, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    lit = np.empty((4, height, width), np.float32)
    cv2.split(seen, list(lit))
    planes, shine = lit[:3], lit[3]
    relief = _relief(scene, v, rng, w)
    if v.gloss:
        # an oily skin mirrors the light where a pore or fold faces it: white, broken patches
        glow = relief * 14
        glow += 1
        glow.clip(0, 3, out=glow)
        glow = cv2.multiply(glow, shine, glow, 0.4 * v.gloss**2)
    relief += 1
    planes *= relief
    if v.gloss:
        planes += glow
    if v.brow:
        _brow(planes, scene, v)
    return planes


def _relief(scene: Scene, v: SimpleNamespace, rng: np.random.Generator, w: np.ndarray) -> np.ndarray:
    """Lightness (H, W) near 0 of pores and of wrinkles along the lids."""
    height, width = scene.size
    texels = 250 / scene.scale  # 250 texels of the tile to a canonical unit
    relief = banks.scaled(banks.pores, rng, height, width, texels)
    relief *= 0.06 * v.pores * min(1.0, 1.2 / max(texels, 0.5))
    if v.wrinkles > 0.1:  # fainter ones are less than half a grey level
        folds = banks.folds()  # fades to 0 away from the lids, and is 0 outside
        u = scene.x * rng.uniform(70, 110)
        u += rng.uniform(0.35, 0.65) * folds.shape[1]
        u += w * rng.uniform(-45, 45)
        t = w * 170
        t += banks.FOLD_ROW
        lines = cv2.remap(folds, u, t, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=banks.LEVEL)
        share = 0.055 * v.wrinkles**1.5 / banks.STEPS
        relief = cv2.addWeighted(lines, share, relief, 1, -share * banks.LEVEL, relief, cv2.CV_32F)
    return relief


def _bump(x: np.ndarray, centre: float | np.ndarray, width: float | np.ndarray) -> np.ndarray:
    return np.exp(-(((x - centre) / width) ** 2))


def _step(x: np.ndarray, at: float, width: float) -> np.ndarray:
    return 0.5 * (1 + np.tanh((x - at) / width))


@functools.cache
def _fixed() -> SimpleNamespace:
    """Profiles that no factor changes: over x, then over w."""
    up, down = _UP, _DOWN
    over_x = {
        "one": np.ones_like(_KX),
        "inside": _step(1.03 - np.abs(_KX), 0, 0.05),  # between the corners of the eye
        "nose": _step(_KX, 1.35, 0.25),
        "temple": _step(-_KX, 1.2, 0.3),
        "hollow": _bump(_KX, 1.2, 0.3),
        "nasal": _bump(_KX, 0.75, 0.6),
        "middle": _bump(_KX, -0.1, 0.9),
    }
    over_w = {
        "near": np.exp(-up / 0.9),
        "roll": -np.cos(np.pi * np.minimum(up, 1.15)) * _step(-up, -1.1, 0.12),
        "crease": np.exp(-np.abs(up - 1.02) / 0.09),
        "groove": _bump(up, 1.0, 0.35),
        "fold": _bump(up, 1.5, 0.45),
        "socket": _bump(up, 3.2, 1.4),
        "bone": _step(up, 4.0, 1.2),
        "above": _step(up, 1.0, 0.8),
    }
    below = {
        "close": np.exp(-down / 0.13),
        "cheek": _step(down, 0.6, 0.2),
        "corner": _bump(down, 0.05, 0.25),
        "beside": _step(down, 0.15, 0.25),
    }
    shine = (_bump(up, 0.55, 0.3) + 0.6 * _bump(up, 1.5, 0.4)) * _IS_UP + 0.25
    over_w = {name: p * _IS_UP for name, p in over_w.items()} | {name: p * _IS_DOWN for name, p in below.items()}
    return SimpleNamespace(**over_x, **over_w, shine=shine, everywhere=np.ones_like(_W))


def _table(v: SimpleNamespace, rng: np.random.Generator) -> np.ndarray:
    """(W_CELLS, X_CELLS, 4) float32: colour of the lid-aligned skin and how much it shines."""
    clouds = rng.standard_normal((3, *_FIELD), dtype=np.float32) @ _FIELD_X.T
    f = _fixed()
    terms = [*_upper_terms(v, f, rng), *_lower_terms(v, f, rng)]
    terms.append((f.everywhere, f.one, np.log(v.skin)))
    profiles = np.array([*[p for p, _, _ in terms], *_FIELD_W.T], np.float32)  # (K + 13, W_CELLS)
    over_x = np.array([q for _, q, _ in terms], np.float32)  # (K, X_CELLS)
    weights = np.array([c for _, _, c in terms], np.float32).T[..., None]  # (3, K, 1)
    tones = _CLOUD_COLOURS @ (v.skin_clouds * clouds[:2]).reshape(2, -1)
    across = np.concatenate([over_x * weights, tones.reshape(3, -1, X_CELLS)], 1, dtype=np.float32)
    # one channel at a time: small enough that the BLAS does not wake its threads
    channels = [cv2.exp(profiles.T @ channel) for channel in across]
    low = (_bump(_DOWN, v.waterline + 0.1, 0.08) + 0.8 * _bump(_DOWN, v.waterline + 0.3, 0.2)) * _IS_DOWN
    lit = 0.4 + _bump(_KX, rng.uniform(-1.0, 1.0), 0.6) + 0.5 * f.hollow
    broken = cv2.max(1 + 0.6 * (_FIELD_W @ clouds[2]), 0)
    broken *= np.outer(f.shine + low, lit)
    return cv2.merge([*channels, broken])


def _upper_terms(v: SimpleNamespace, f: SimpleNamespace, rng: np.random.Generator) -> list:
    """Log-colour terms (profile over w, profile over x, RGB weight) above the upper lid's margin."""
    up, on = _UP, _IS_UP
    light = 0.55 * v.bulge
    rim = v.rim / v.crease_height
    band = rim * (1.5 + 2.5 * v.lash_band)
    lid_colour = -0.16 * max(v.lid_tint, 0) * _GREY + v.lid_tint * _PINK
    side = v.light_x * _side(v)
    terms = [
        (f.near, f.middle, lid_colour),
        (f.roll, f.middle, 0.5 * light * _GREY),
        (f.crease, f.middle + 0.4, v.crease * (0.8 * _BROWN + 0.7 * _PINK)),
        (f.groove, f.middle + 0.2, -0.25 * v.crease * _GREY),
        (f.fold, f.middle, 0.45 * light * _GREY),
        (f.socket, f.hollow, -0.75 * light * _GREY),
        (f.bone, f.middle, 0.4 * light * _GREY),
        (on * np.exp(-up / (0.35 + band)), f.inside, -0.35 * v.lash_band * _GREY),
        (on * np.exp(-((up / band) ** 2)), f.inside, v.lash_band * np.array([-1.3, -1.45, -1.45])),
        (on * np.exp(-((up / (0.45 * rim)) ** 2)), f.inside, 0.5 * v.waterline_pink * np.array([0.1, -0.2, -0.12])),
        (f.above, 0.35 * f.nose - 0.3 * f.temple, side * _GREY),
    ]
    if v.crease > 0.4 and rng.random() < 0.5:  # a second fold
        at = rng.uniform(1.25, 1.9)
        terms.append((on * np.exp(-np.abs(up - at) / 0.06), f.middle, 0.5 * v.crease * (0.4 * _BROWN + 0.3 * _PINK)))
    if v.makeup:
        colour = np.log(rng.uniform(0.25, 0.85, 3)) * rng.uniform(0.3, 0.9)
        terms.append((on * _step(-up, -rng.uniform(0.8, 1.8), 0.35), f.middle, colour))
    if v.liner:
        edge = rim + rng.uniform(0.12, 0.45)
        terms.append((on * _step(-up, -edge, 0.05), f.inside, np.array([-1.9, -1.9, -1.85])))
    return terms


def _lower_terms(v: SimpleNamespace, f: SimpleNamespace, rng: np.random.Generator) -> list:
    """The same below the lower lid: wet margin, lash line, lid roll, bag, cheek."""
    down, on = _DOWN, _IS_DOWN
    light = 0.55 * v.bulge
    wet = v.waterline
    flesh = np.array([0.86, 0.6, 0.56]) * (0.55 + 0.45 * min(1.0, v.skin.mean() / 0.6))
    strip = on * _step(-down, -wet, 0.25 * wet)
    bag = rng.uniform(0.24, 0.42)
    centres, widths = [0.75 * wet, 1.15 * wet, wet + 0.1, 1.05 * bag], [0.3 * wet, 0.3 * wet, 0.07, 0.14]
    edge, outer, roll, sack = on * _bump(down, np.array(centres)[:, None], np.array(widths)[:, None])
    side = v.light_x * _side(v)
    return [
        (strip, f.inside, v.waterline_pink * np.log(flesh / v.skin)),
        (strip * edge, f.inside, 0.12 * v.waterline_pink * _GREY),
        (outer, f.inside, (0.15 + 0.3 * v.lash_band * v.bulge) * _BROWN * 0.7),
        (f.close, f.inside, 0.8 * max(v.lid_tint, 0) * _PINK),
        (roll, f.middle, 0.55 * light * _GREY),
        (on * np.exp(-np.abs(down - bag) / 0.03), f.middle + 0.3 * f.nasal, (0.2 * v.bulge + 0.3 * v.bags) * _BROWN),
        (sack, f.nasal, (0.2 + v.bags) * np.array([-0.28, -0.34, -0.26]) * v.bulge),
        (f.cheek, f.middle, 0.3 * light * _GREY),
        (f.corner, f.hollow, -0.5 * light * _GREY),
        (f.beside, 0.35 * f.nose - 0.25 * f.temple, side * _GREY),
    ]


def _side(v: SimpleNamespace) -> float:
    """+1 where the nose is on the image's right: the side of the nose that faces right light is hidden from it."""
    return -1.0 if v.eye == "R" else 1.0


def _brow(planes: np.ndarray, scene: Scene, v: SimpleNamespace) -> None:
    """Darken the planes by an eyebrow where the frame reaches it."""
    ends = np.minimum(scene.y[:, 0], scene.y[:, -1])
    rows = np.flatnonzero(ends < -v.brow_height + 0.5 + v.brow_size)
    if not len(rows):
        return
    part = slice(int(rows[0]), int(rows[-1]) + 1)
    x, y = scene.x[part], scene.y[part]
    tile = banks.brow(v.person % 6)
    height, width = tile.shape
    zoom = height / (4.4 * v.brow_size)
    row = x * (-0.16 * zoom)  # an arch: y - 0.16 (x + 0.35)^2 - 0.05 x, lower at both ends
    row -= 0.162 * zoom
    row *= x
    row += y * zoom
    row += (v.brow_height - 0.0196) * zoom + height / 2
    column = (x + 1.5) * (width / 2.8)
    hair = cv2.remap(tile, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    hair = np.multiply(hair, np.float32(v.brow_density / 255))
    colour = np.array([0.16, 0.12, 0.1]) + 0.16 * v.skin * (1 - v.lash_dark)
    blend(planes[:, part], colour.tolist(), hair)


def blend(planes: np.ndarray, colour: list[float], alpha: np.ndarray) -> None:
    """Mix a colour (RGB) into planes (3, h, w), in place."""
    planes *= 1 - alpha
    for plane, c in zip(planes, colour, strict=True):
        cv2.scaleAdd(alpha, c, plane, plane)
