"""The visible eyeball: sclera with vessels and shadow, iris and pupil, caruncle, reflections.

Scene and draws -> planes (3, h, w) float32 inside scene.box, and the masks that come with them."""

import functools
import math
from types import SimpleNamespace

import cv2
import numpy as np

from cgdseg.eyes import banks
from cgdseg.eyes.geometry import Scene, bounds

R_CELLS, A_CELLS = 64, 192  # iris table over (radius 0..R_MAX, angle); two thirds of it for small irises
SMALL_IRIS = 45  # pixels
R_MAX = 1.2
# blue, grey, green; hazel, brown, dark
_LIGHT_IRIS = np.array([[0.4, 0.53, 0.64], [0.5, 0.54, 0.55], [0.46, 0.5, 0.36]], np.float32)
_DARK_IRIS = np.array([[0.5, 0.37, 0.2], [0.36, 0.21, 0.11], [0.17, 0.1, 0.07]], np.float32)


def paint_eyeball(scene: Scene, v: SimpleNamespace) -> tuple[np.ndarray, np.ndarray]:
    """Return the eyeball's planes (3, h, w) and the shadow factor of the upper lid (h, w), 1 is unshadowed."""
    rng = v.surface_stream
    planes = _sclera(scene, v, rng)
    _iris(planes, scene, v)
    _caruncle(planes, scene, v, rng)
    shadow = _shade(planes, scene, v)
    return planes, shadow


def _sclera(scene: Scene, v: SimpleNamespace, rng: np.random.Generator) -> np.ndarray:
    ball = scene.ball
    height, width = ball.x.shape
    tint = np.array([0.0, -0.03, -0.07])
    tint = tint + v.sclera_yellow * np.array([0.01, -0.04, -0.22]) + v.sclera_pink * np.array([0.03, -0.13, -0.09])
    tint = tint + v.sclera_blue * np.array([-0.14, -0.05, 0.05])
    tint = tint + v.sclera_skin * np.log(v.skin / v.skin.max())  # light that the lids throw back
    base = (v.sclera_light * np.exp(tint)).tolist()
    # red where thin tissue covers it: towards both corners, and at the lower lid
    red = np.abs(ball.x + 0.05)
    red *= red
    red *= 0.5 * v.canthus_red
    red += (0.22 * v.canthus_red) * cv2.exp(ball.over * (-1 / 0.09))
    if v.mottle:
        red += (0.05 * v.mottle) * banks.soft_field(rng, 6, height, width)
    if v.vessels:
        red += _vessels(ball, v, rng)
    planes = np.empty((3, height, width), np.float32)
    for plane, c, k in zip(planes, base, (0.12, 0.5, 0.45), strict=True):
        np.multiply(red, -k * c, out=plane)
        plane += c
    return planes


def _vessels(ball: SimpleNamespace, v: SimpleNamespace, rng: np.random.Generator) -> np.ndarray:
    """Vessels fixed to the eyeball; they fade towards the iris."""
    density = banks.TILE / (2.2 * v.vessel_scale)
    dx, dy = rng.uniform(0.5 * banks.TILE, 1.5 * banks.TILE, 2).tolist()
    lines = cv2.remap(banks.vessels(), ball.iris_x * density + dx, ball.iris_y * density + dy,
                      cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)  # fmt: skip
    fade = cv2.min(ball.radius2 * 0.28, 1.0)
    return cv2.multiply(lines, fade, scale=v.vessels**2 / 255, dtype=cv2.CV_32F)


def _iris(planes: np.ndarray, scene: Scene, v: SimpleNamespace) -> None:
    """Blend iris and pupil over the sclera."""
    ball = scene.ball
    part = bounds(ball.radius2 < R_MAX**2)
    if not part:
        return
    radius = cv2.sqrt(cv2.max(ball.radius2[part], 0))
    table = _iris_table(v, 2 / 3 if v.iris_size * scene.scale < SMALL_IRIS else 1)
    radius *= (len(table) - 1) / R_MAX
    angle = cv2.phase(ball.iris_x[part], ball.iris_y[part])
    angle *= (table.shape[1] - 1) / (2 * math.pi)
    seen = cv2.remap(table, angle, radius, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    iris = np.empty((4, *radius.shape), np.float32)
    cv2.split(seen, list(iris))
    colours, alpha, below = iris[:3], iris[3], planes[(slice(None), *part)]
    colours -= below
    colours *= alpha
    below += colours


def _iris_table(v: SimpleNamespace, detail: float) -> np.ndarray:
    """(R, A + 1, 4) float32: colour and opacity of the iris, pupil included; `detail` times R_CELLS and A_CELLS."""
    rng = v.eye_stream
    n_r, n_a = int(R_CELLS * detail), int(A_CELLS * detail)
    r = _radii(n_r)
    span = ((r - v.pupil_size) / (1 - v.pupil_size)).clip(0, 1)  # 0 at the pupil, 1 at the limbus
    # the same places at every detail: an eye keeps its iris
    starts = (rng.random(2) * (banks.TILE - R_CELLS) / R_CELLS * n_r).astype(int).tolist()
    tiles = banks.iris_textures(banks.TILE * n_r // R_CELLS, n_a)
    fibre, blotch = (tile[start : start + n_r] for tile, start in zip(tiles, starts, strict=True))
    light = banks.between(_LIGHT_IRIS, 2 * v.iris_hue)[:, None, None]
    dark = banks.between(_DARK_IRIS, (v.iris_melanin - 0.4) / 0.3)[:, None, None]
    share = min(max((v.iris_melanin - 0.2) / 0.3, 0.0), 1.0)
    ring = v.collarette * np.exp(-((np.maximum(span - 0.12, 0) / 0.22) ** 2))
    mix = fibre * (0.14 * ring)
    mix += share + 0.55 * ring
    mix = cv2.scaleAdd(blotch, 0.12 * v.fibres, mix, mix)
    mix.clip(0, 1, out=mix)
    pupil = 1 / (1 + np.exp((r - v.pupil_size) / 0.012))
    rings = 1 - 0.25 * np.exp(-((span / 0.1) ** 2)) * v.fibres  # the dark frill at the pupil
    rings *= 1 - 0.75 * v.limbal_ring * np.exp(-(((r - 0.98) / 0.11) ** 2))
    rings *= (1 - 0.15 * r**2) * (1 - pupil) * v.iris_light
    tone = cv2.addWeighted(fibre, 0.13 * v.fibres, blotch, 0.09 * v.fibres, 1)
    tone *= rings
    colours = mix * (dark - light)
    colours += light
    colours *= tone
    colours += 0.03 * pupil
    alpha = 1 / (1 + np.exp(((r - 1) / (0.3 * v.limbus)).clip(-40, 40)))  # half way at the labels' edge
    return cv2.merge([*colours, np.repeat(alpha, n_a + 1, 1)])


@functools.cache
def _radii(n: int) -> np.ndarray:
    return np.linspace(0, R_MAX, n, dtype=np.float32)[:, None]


def _caruncle(planes: np.ndarray, scene: Scene, v: SimpleNamespace, rng: np.random.Generator) -> None:
    """Blend the fleshy inner corner over the sclera, with a soft border (the plica)."""
    ball = scene.ball
    part = bounds(ball.edge > -0.5 / 14)
    if not part:
        return
    alpha = (ball.edge[part] * 14 + 0.5).clip(0, 1)
    bumps = banks.scaled(banks.clouds, rng, *alpha.shape, 250 / scene.scale)
    flesh = np.array([0.8, 0.52, 0.48]) * (1 - v.caruncle_red) + np.array([0.72, 0.3, 0.28]) * v.caruncle_red
    colour = (flesh * (0.65 + 0.5 * v.sclera_light)).tolist()
    for plane, c in zip(planes[(slice(None), *part)], colour, strict=True):
        plane += alpha * (c + (0.1 * c) * bumps - plane)


def _shade(planes: np.ndarray, scene: Scene, v: SimpleNamespace) -> np.ndarray:
    """Light the eyeball: sphere, shadow of the lids, dark corners. Returns the upper lid's shadow factor."""
    ball = scene.ball
    lx, ly = 0.55 * v.light_x * (1 if v.eye == "R" else -1), 0.5 * v.light_y
    lz = math.sqrt(max(1 - lx * lx - ly * ly, 0.2))
    light = cv2.addWeighted(ball.nx, v.sphere * lx, ball.ny, v.sphere * ly, 1 - v.sphere * lz)
    light = cv2.scaleAdd(ball.nz, v.sphere * lz, light, light)
    light.clip(0.15, 1.15, out=light)
    shadow = _darkness(ball.under, v.lid_shadow, v.lid_shadow_size)
    light *= shadow
    if v.lower_shadow:
        light *= _darkness(ball.over, v.lower_shadow, 0.06)
    if v.corner_shadow:
        far = ball.x * ball.x
        far *= far
        light *= 1 - v.corner_shadow * cv2.min(far, 1)
    planes *= light
    return shadow


def _darkness(distance: np.ndarray, strength: float, reach: float) -> np.ndarray:
    """Factor of the light at a distance from a lid."""
    factor = cv2.exp(cv2.min(distance * (-1 / reach), 0))
    factor *= -strength
    factor += 1
    return factor
