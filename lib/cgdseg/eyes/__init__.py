"""Procedural eyes: photographs of one human eye each, with exact masks, drawn from named ranges.

render_eye(factors, seed, index, size) -> Eye: image (H, W, 3) uint8 RGB, labels (H, W) uint8 with 0 other, 1 sclera,
2 iris, 3 pupil. The same arguments give the same eye, in any process and any order."""

from dataclasses import dataclass

import cv2
import numpy as np

from cgdseg.eyes.camera import photograph
from cgdseg.eyes.eyeball import paint_eyeball
from cgdseg.eyes.factors import Factors, draw
from cgdseg.eyes.geometry import Scene, build_scene
from cgdseg.eyes.hair import draw_lashes, lash_colour
from cgdseg.eyes.reflections import draw_reflections, environment
from cgdseg.eyes.skin import blend, paint_skin, skin_colour
from cgdseg.labels import OTHER, SCLERA

# Freeing one large block makes the C library keep blocks of a frame's size instead of returning each to the kernel:
# a fifth of the time at 300x400 would go into page faults.
np.empty(31 << 20, np.uint8)


@dataclass(frozen=True)
class Eye:
    """One rendered eye; the masks are bool (H, W)."""

    image: np.ndarray
    labels: np.ndarray
    caruncle: np.ndarray
    lashes: np.ndarray
    reflections: np.ndarray


def render_eye(
    factors: Factors,
    seed: int,
    index: int,
    size: tuple[int, int] = (300, 400),
    subject: int | None = None,
    eye: str | None = None,
    gaze: str | None = None,
) -> Eye:
    """Render eye number `index` of the stream `seed` at `size` (H, W).

    `subject` and `eye` (L, R: the person's own) fix the identity: skin, iris, sclera tint and lid shape come from
    (seed, subject, eye), the rest from (seed, index). `gaze` is l, r (the person's own), s, u or None for any."""
    v = draw(factors, seed, index, subject, eye)
    v.skin = skin_colour(v)
    scene = build_scene(v, size, gaze)
    planes = paint_skin(scene, v)
    lashes, lash_box = draw_lashes(scene, v) or (None, None)
    covered = np.zeros(size, bool)
    bright = np.zeros(size, bool)
    shadowed = np.zeros(size, bool)
    if scene.ball is not None:
        shadow, glints = _open_eye(planes, scene, v, lashes)
        shadowed[scene.box] = shadow < 0.55
        bright[scene.box] = glints > 0.35
    if lashes is not None:
        blend(planes[(slice(None), *lash_box)], lash_colour(v), lashes[lash_box])
        np.greater(lashes, 0.5 * v.lash_dark, out=covered)
    labels = _convention(factors, scene, covered, shadowed, bright)
    image = photograph(planes, v)
    return Eye(image, labels, caruncle=scene.caruncle, lashes=covered, reflections=bright)


def _open_eye(planes: np.ndarray, scene: Scene, v, lashes: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Blend the eyeball into the frame between the lids; returns the lid's shadow and the reflections in the box."""
    ball, shadow = paint_eyeball(scene, v)
    box = scene.box
    if lashes is not None and v.lash_shadow:
        drop = max(1, round(0.03 * scene.scale))
        below = np.zeros_like(shadow)
        below[drop:] = lashes[box][:-drop] if drop < len(below) else 0
        ball *= 1 - v.lash_shadow * cv2.blur(below, (drop, drop))
    mirror = environment(scene, v)
    if mirror is not None:
        ball += mirror * shadow
    glints = draw_reflections(scene, v)
    blend(ball, [1.15] * 3, glints)
    # the lids' edge is anti-aliased in the image; labels stay hard
    alpha = cv2.min(scene.ball.under, scene.ball.over)
    alpha *= scene.scale
    alpha += 0.5
    alpha.clip(0, 1, out=alpha)
    part = planes[(slice(None), *box)]
    ball -= part
    ball *= alpha
    part += ball
    return shadow, glints


def _convention(factors: Factors, scene: Scene, covered, shadowed, bright) -> np.ndarray:
    """Apply the mask convention to the geometric labels."""
    labels = scene.labels
    if factors.label_caruncle:
        labels[scene.caruncle] = SCLERA
    hidden = [(factors.label_under_lashes, covered), (factors.label_under_shadow, shadowed)]
    hidden.append((factors.label_under_reflections, bright))
    for labelled, mask in hidden:
        if not labelled:
            labels[mask] = OTHER
    return labels
