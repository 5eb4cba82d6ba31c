"""Where everything is: eyeball, lids, iris, pupil, caruncle as exact functions of the pixel.

draw() values and a size (H, W) -> Scene. Canonical coordinates: the outer corner of the eye is (-1, 0), the inner
one (1, 0), y points down; a left eye is the mirror image."""

import functools
import math
from dataclasses import dataclass
from types import SimpleNamespace

import cv2
import numpy as np

from cgdseg.labels import OTHER

REACH, KNOTS, FINE = 3.0, 433, 16  # the lid tables cover x in -REACH..REACH; FINE places to a knot for looking up
SUB = 4  # fractional bits of drawn positions
_X = np.linspace(-REACH, REACH, KNOTS, dtype=np.float32)
_WAVES = np.array(
    [[np.sin(k * (2.2 * _X + phase)) / k for k in (1, 2, 3)] for phase in (0.0, 1.0, 2.0, 3.0)], np.float32
)
_BETWEEN = (np.arange(FINE, dtype=np.float32) + 0.5) / FINE  # of a knot and the next
_OUTSIDE = 0.16 * np.maximum(np.abs(_X) - 1, 0) ** 1.5  # the lids fall beyond the corners
_CREASE = 0.45 + 0.55 * np.exp(-((_X / 1.05) ** 4))


@dataclass
class Scene:
    """Geometry of one image. Maps over the frame are (H, W) float32; `box` cuts out the eyeball's part of it."""

    size: tuple[int, int]
    scale: float  # pixels per canonical unit
    x: np.ndarray  # canonical coordinates of the pixels
    y: np.ndarray
    upper: np.ndarray  # height of the upper lid, the lower lid and the crease's distance at the pixel's x
    lower: np.ndarray
    crease: np.ndarray
    lids: np.ndarray  # (3, FINE (KNOTS - 1)) upper, lower, crease over x
    box: tuple[slice, slice]
    gaze: tuple[float, float, float]  # unit vector; z points to the camera
    to_pixel: np.ndarray  # (3, 3) canonical to pixel, homogeneous
    ball: SimpleNamespace | None  # maps inside box: x, y, under and over (distance from the lids), nx, ny, nz, ...
    labels: np.ndarray
    caruncle: np.ndarray

    def drawn(self, points: np.ndarray, corner: tuple[int, int] = (0, 0)) -> np.ndarray:
        """Canonical points (..., 2) -> int32 positions from `corner` (x, y), with SUB fractional bits."""
        p = self.pixels(points)
        p -= corner
        p *= 1 << SUB
        return np.rint(p, out=p).astype(np.int32)

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Canonical points (..., 2) -> pixel positions (..., 2) as x, y."""
        return cv2.perspectiveTransform(points.reshape(1, -1, 2), self.to_pixel).reshape(points.shape)

    def lid(self, which: int, x: np.ndarray) -> np.ndarray:
        """Height of the upper (0) or lower (1) lid at canonical x."""
        return self.lids[which].take(_places(x), mode="clip")


def _places(x: np.ndarray) -> np.ndarray:
    """Columns of the fine lid tables at canonical x; those outside are for `mode="clip"`."""
    at = x * (FINE * (KNOTS - 1) / (2 * REACH))
    at += FINE * (KNOTS - 1) / 2
    return at.astype(np.int64)


@functools.lru_cache(maxsize=8)
def grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixel centres in half image widths from the middle: (1, W) and (H, 1)."""
    x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) / (width / 2)
    y = (np.arange(height, dtype=np.float32) + 0.5 - height / 2) / (width / 2)
    return x[None], y[:, None]


def build_scene(v: SimpleNamespace, size: tuple[int, int], gaze: str | None) -> Scene:
    """Place one eye in a frame and label every pixel."""
    height, width = size
    yaw, pitch = _gaze_angles(v, gaze)
    matrix = _camera_matrix(v, width)
    x, y, to_pixel = _coordinates(matrix, v, height, width)
    lids = _lid_tables(v, yaw, pitch)
    places = _places(x)  # nearest places of a fine table: five times faster than interpolating in a coarse one
    upper, lower, crease = (lid.take(places, mode="clip") for lid in lids)
    # angles to a direction; up is negative y, and yaw is positive towards the nose
    direction = (math.sin(yaw) * math.cos(pitch), -math.sin(pitch), math.cos(yaw) * math.cos(pitch))
    scale = v.eye_width * width / 2
    scene = Scene(
        size=size, scale=scale, x=x, y=y, upper=upper, lower=lower, crease=crease, lids=lids,
        box=(slice(0, 0), slice(0, 0)), gaze=direction, to_pixel=to_pixel, ball=None,
        labels=np.zeros(size, np.uint8), caruncle=np.zeros(size, bool),
    )  # fmt: skip
    inside = (y > upper) & (y < lower)
    found = bounds(inside, margin=2)  # pixels, for the soft edge of the lids
    if found:
        scene.box = found
        _eyeball(scene, v, inside)
    return scene


def bounds(mask: np.ndarray, margin: int = 0) -> tuple[slice, slice] | None:
    """Rows and columns that hold what is not 0 in a bool or uint8 (H, W), or None where all is 0."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    if not width:
        return None
    return (
        slice(max(0, top - margin), top + height + margin),
        slice(max(0, left - margin), left + width + margin),
    )


def _gaze_angles(v: SimpleNamespace, gaze: str | None) -> tuple[float, float]:
    """Yaw towards the nose and pitch upwards, in radians. `l` and `r` are the person's own left and right."""
    nasal = {"l": -1, "r": 1} if v.eye == "L" else {"l": 1, "r": -1}
    jitter = v.gaze_jitter_y
    if gaze is None:
        yaw, pitch = (v.gaze_jitter, jitter) if v.free_straight else (v.free_yaw, v.free_pitch)
    elif gaze in nasal:
        yaw, pitch = nasal[gaze] * v.gaze_side, jitter
    elif gaze in ("s", "u"):
        yaw, pitch = v.gaze_jitter, (v.gaze_up if gaze == "u" else 0.0) + jitter
    else:
        raise ValueError(f"there is no gaze {gaze!r}: use l, r, s, u or None")
    return math.radians(yaw), math.radians(pitch)


def _camera_matrix(v: SimpleNamespace, width: int) -> np.ndarray:
    """(3, 3) from frame coordinates (half image widths) to canonical ones."""
    c, s = math.cos(math.radians(v.roll)), math.sin(math.radians(v.roll))
    mirror = 1.0 if v.eye == "R" else -1.0  # seen from the front, a right eye has the nose on its right
    place = np.array([[1, 0, -2 * v.offset_x], [0, 1, -2 * v.offset_y], [0, 0, 1]])
    turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    shape = np.array([[mirror / v.eye_width, 0, 0], [0, 1 / (v.eye_width * v.squeeze), 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, 1, 0], [v.perspective_x, v.perspective_y, 1]])
    return shape @ turn @ tilt @ place


def _coordinates(matrix: np.ndarray, v: SimpleNamespace, height: int, width: int):
    """Canonical x, y of every pixel (H, W), and the matrix from canonical to pixel coordinates."""
    gx, gy = grid(height, width)
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    x = a * gx + (b * gy + c)
    y = d * gx + (e * gy + f)
    if g or h:
        depth = g * gx + (h * gy + i)
        np.reciprocal(depth, out=depth)
        x *= depth
        y *= depth
    half = width / 2
    to_frame = np.array([[half, 0, width / 2 - 0.5], [0, half, height / 2 - 0.5], [0, 0, 1]])
    return x, y, to_frame @ cv2.invert(matrix)[1]


def _lid_tables(v: SimpleNamespace, yaw: float, pitch: float) -> np.ndarray:
    """(3, FINE (KNOTS - 1)): upper lid, lower lid and the distance from the upper lid to its crease, over x."""
    up = v.lid_follow * math.sin(pitch)
    opening = v.opening * (v.squint_opening if v.squint else 1.0)
    opening *= 1 + 0.5 * max(up, 0) + 0.9 * min(up, 0)
    upper = v.upper_height * opening + 0.12 * max(up, 0)
    lower = v.lower_height * opening - 0.1 * up
    drift = 0.22 * math.sin(yaw)  # the cornea pushes the lids along
    wave = v.eye_stream.standard_normal(3, np.float32) @ _WAVES[v.eye_stream.integers(len(_WAVES))]
    base = v.tilt * _X + v.lid_wobble * wave + _OUTSIDE
    top = base - upper * _arch(v, v.upper_peak + drift, v.roundness)
    bottom = base + lower * _arch(v, v.lower_peak + drift, v.roundness * 0.95)
    fold = v.crease_height * (1.15 - 0.35 * min(v.opening, 1.2)) - 0.25 * min(pitch, 0.0) * v.crease_height
    crease = fold * _CREASE * (1 + 0.06 * wave)
    lids = np.array([top, np.maximum(bottom, top), crease], np.float32)
    rise = np.diff(lids)
    return (lids[:, :-1, None] + rise[..., None] * _BETWEEN).reshape(3, -1)


def _arch(v: SimpleNamespace, peak: float, roundness: float) -> np.ndarray:
    """Lid curve over _X: 1 at its peak, 0 at and beyond the corners."""
    peak = min(max(peak, -0.55), 0.55)
    nasal = peak < _X
    t = np.where(nasal, (_X - peak) / (1 - peak), (peak - _X) / (1 + peak))
    body = 1 - np.minimum(t, 1) ** roundness
    return body ** np.where(nasal, np.float32(v.nasal_taper), np.float32(v.temporal_taper))


def _eyeball(scene: Scene, v: SimpleNamespace, inside: np.ndarray) -> None:
    """Fill scene.ball and the labels: sphere normals, and the position of each pixel relative to the gaze axis."""
    x, y, inside = scene.x[scene.box], scene.y[scene.box], inside[scene.box]
    nx, ny = (x - v.eyeball_x) * (1 / v.eyeball_radius), (y - v.eyeball_y) * (1 / v.eyeball_radius)
    nz = cv2.sqrt(cv2.max(1 - nx * nx - ny * ny, 0.02))
    gx, gy, gz = scene.gaze
    flat = math.hypot(gx, gz)
    ex, ez = gz / flat, -gx / flat  # tangents of the sphere at the gaze point
    iris_x = cv2.addWeighted(nx, ex, nz, ez, 0)
    iris_y = cv2.addWeighted(nx, gy * ez, nz, -gy * ex, 0)
    iris_y = cv2.scaleAdd(ny, gz * ex - gx * ez, iris_y, iris_y)
    chord = 2 * (1 - math.sqrt(1 - min(v.iris_size / v.eyeball_radius, 0.9) ** 2))
    radius2 = cv2.addWeighted(nx, -2 * gx / chord, ny, -2 * gy / chord, 2 / chord)  # 1 at the edge of the iris
    radius2 = cv2.scaleAdd(nz, -2 * gz / chord, radius2, radius2)
    under, over = y - scene.upper[scene.box], scene.lower[scene.box] - y
    edge = cv2.subtract(under, over)
    edge *= edge
    edge *= 0.25 * v.caruncle_curve  # of the squared distance from the middle between the lids
    edge += x
    edge -= v.caruncle_start
    scene.ball = SimpleNamespace(x=x, y=y, under=under, over=over, nx=nx, ny=ny, nz=nz, radius2=radius2, edge=edge,
                                 iris_x=iris_x, iris_y=iris_y)  # fmt: skip
    iris, pupil = radius2 < 1, radius2 < v.pupil_size**2
    caruncle = inside & (edge > 0) & ~iris
    labels = inside.astype(np.uint8)
    labels += inside & iris
    labels += inside & pupil
    labels[caruncle] = OTHER
    scene.labels[scene.box] = labels
    scene.caruncle[scene.box] = caruncle
