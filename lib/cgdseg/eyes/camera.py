"""Light and camera: from reflectance to a photograph.

planes (3, H, W) float32 and draws -> image (H, W, 3) uint8 RGB."""

from types import SimpleNamespace

import cv2
import numpy as np

from cgdseg.eyes import banks
from cgdseg.eyes.geometry import grid

_LUMA = np.array([0.299, 0.587, 0.114])
_SAME = np.eye(3)
_DIFFERENCES = _SAME - 1 / 3  # from the mean of a row: white stays white
_LEVELS = np.linspace(0, 1, 256)
COARSE = 4  # pixels: the light changes slowly, so that it is made on every fourth and enlarged


def light_colour(v: SimpleNamespace) -> np.ndarray:
    """Gain per channel (3,) of the light."""
    warm = np.array([0.16, 0.0, -0.3]) * v.warmth
    return np.exp(warm + np.array([0.07, -0.13, 0.07]) * v.magenta)


def photograph(planes: np.ndarray, v: SimpleNamespace) -> np.ndarray:
    """Light the scene, then take the picture."""
    rng = v.camera_stream
    _, height, width = planes.shape
    field = _light_field(v, rng, height, width)
    meter = (0.55 / float(v.skin.mean())) ** 0.4  # cameras expose for the skin they see
    gains = (255 * v.exposure * meter * light_colour(v)).tolist()
    fields = _stains(field, v, rng) if v.stains else [field] * 3
    noises = _noise(v, rng, height, width) if v.noise > 0.02 else [np.zeros_like(field)] * 3
    exposed = []
    for plane, own, gain, noise in zip(planes, fields, gains, noises, strict=True):
        plane *= own
        exposed.append(cv2.addWeighted(plane, gain, noise, 1, 0, dtype=cv2.CV_8U))  # rounds, and clips to 0..255
    return _develop(cv2.merge(exposed), v, rng)


def _light_field(v: SimpleNamespace, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Brightness of the light over the frame (H, W)."""
    small = (-(-height // COARSE), -(-width // COARSE))
    x, y = grid(*small)
    fall = 0.7 * v.light_fall
    field = (1 + fall * v.light_x * x) + (fall * v.light_y) * y
    if v.vignette:
        field *= 1 - (0.55 * v.vignette) * (x * x + y * y)
    if v.patchy:
        field *= 1 + v.patchy * banks.soft_field(rng, 3, *small)
    return cv2.resize(np.maximum(field, 0.12), (width, height), interpolation=cv2.INTER_LINEAR)


def _stains(field: np.ndarray, v: SimpleNamespace, rng: np.random.Generator) -> list[np.ndarray]:
    """The light of each channel under coloured clouds."""
    clouds = banks.scaled(banks.clouds, rng, *field.shape, 10 ** rng.uniform(-0.7, 0.4))
    clouds *= field
    return [cv2.scaleAdd(clouds, share, field) for share in (v.stains * rng.normal(0.7, 0.5, 3)).tolist()]


def _noise(v: SimpleNamespace, rng: np.random.Generator, height: int, width: int) -> list[np.ndarray]:
    """Grey noise plus that of each channel, in display values."""
    amount = 15 * v.noise**2
    grey = rng.uniform(0.3, 0.9)
    common, *own = (banks.patch(banks.white(), rng, height, width) for _ in range(4))
    common = common * (amount * grey)
    return [cv2.scaleAdd(one, amount * (1 - grey), common) for one in own]


def _develop(image: np.ndarray, v: SimpleNamespace, rng: np.random.Generator) -> np.ndarray:
    """Blur, resolution, sharpening, tone curve, colour, compression on uint8."""
    height, width = image.shape[:2]
    sigma = 0.006 * width * v.blur**2
    if v.small:
        factor = rng.uniform(0.3, 0.8)
        tiny = cv2.resize(
            image, (max(24, round(width * factor)), max(18, round(height * factor))), interpolation=cv2.INTER_AREA
        )
        image = cv2.resize(tiny, (width, height), interpolation=cv2.INTER_LINEAR)
    if sigma > 0.3:
        image = _defocus(image, sigma)
    if v.motion:
        image = _shake(image, rng)
    if v.sharpen:
        soft = _soften(image, 0.004 * width)
        amount = rng.uniform(0.4, 1.4)
        image = cv2.addWeighted(image, 1 + amount, soft, -amount, 0)
    if v.refilter > 0.03:
        n = 3 if rng.random() < 0.5 or width < 160 else 5
        kernel = rng.standard_normal((n, n)) * (v.refilter / n)
        kernel[n // 2, n // 2] += 1
        image = cv2.filter2D(image, -1, kernel / kernel.sum())
    if v.local_contrast:
        image = _equalise(image, rng)
    image = _tone(image, v, rng)
    if v.jpeg:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, round(v.jpeg_quality)])
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return image


def _defocus(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur; a wide one is made at half size."""
    if sigma < 1.4:
        return _soften(image, sigma)
    height, width = image.shape[:2]
    half = cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(_soften(half, 0.5 * sigma), (width, height), interpolation=cv2.INTER_LINEAR)


def _soften(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur cut off at 2.5 sigma; OpenCV's own 3 sigma take half as long again."""
    n = 2 * max(1, round(2.5 * sigma)) + 1
    return cv2.GaussianBlur(image, (n, n), sigma)


def _shake(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    n = int(rng.integers(3, max(4, image.shape[1] // 45)))
    kernel = np.zeros((n, n), np.float32)
    angle = rng.uniform(0, np.pi)
    arm = (n - 1) / 2 * np.array([np.cos(angle), np.sin(angle)])
    start, end = (np.array([n - 1, n - 1]) / 2 + np.array([-arm, arm])).round().astype(int).tolist()
    cv2.line(kernel, start, end, 1.0, 1)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def _equalise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Local contrast of the lightness (CLAHE)."""
    cells = int(rng.integers(2, 7))
    lightness, *colours = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb))
    lightness = cv2.createCLAHE(rng.uniform(1.0, 4.0), (cells, cells)).apply(lightness)
    return cv2.cvtColor(cv2.merge([lightness, *colours]), cv2.COLOR_YCrCb2RGB)


def _tone(image: np.ndarray, v: SimpleNamespace, rng: np.random.Generator) -> np.ndarray:
    """Colour and tone curve."""
    mix = v.saturation * _SAME + (1 - v.saturation) * _LUMA
    mix += (v.recolour * rng.standard_normal((3, 3))) @ _DIFFERENCES
    image = cv2.transform(image, mix.astype(np.float32))
    bend = (0.5 + (_LEVELS**v.gamma - 0.5) * v.contrast).clip(0, 1)
    curve = (255 * (1 - v.haze)) * bend + (255 * v.haze + 0.5)
    return cv2.LUT(image, curve.astype(np.uint8))
