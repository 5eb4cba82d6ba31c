"""Image and mask files from anywhere, read strictly.

In: a path. Out: RGB uint8 (H, W, 3), or class labels uint8 (H, W): 0 other, 1 sclera, 2 iris, 3 pupil.
What cannot be read with certainty is a BadFile; what was read but is unusual comes with a note. And back: `encoded`."""

import hashlib
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from cgdseg.labels import KIT_COLOURS, LABELS, SCLERA

cv2.setNumThreads(0)  # OpenCV's own threads do not survive the fork of a worker process

FORMATS = {  # what a file's name promises; other formats Pillow knows are no photographs (and some run programs)
    ".jpg": ("JPEG", "MPO"),
    ".jpeg": ("JPEG", "MPO"),
    ".png": ("PNG",),
    ".bmp": ("BMP",),
    ".tif": ("TIFF",),
    ".tiff": ("TIFF",),
    ".webp": ("WEBP",),
}
IMAGE_SUFFIXES = frozenset(FORMATS)
MAX_PIXELS = 80_000_000  # more is a decompression bomb, not an eye
MAX_BYTES = 500_000_000
MIN_SIDE = 16
READABLE = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")  # an MPO opens as a JPEG
LOSSY = {"JPEG", "MPO", "WEBP"}
Image.init()  # Image.open(formats=...) knows only plugins that are loaded


class BadFile(ValueError):
    """A file that must not be used: its path, the reason, and what mends it."""

    def __init__(self, path: Path | str, reason: str, mend: str):
        super().__init__(path, reason, mend)  # all three, so that it survives the way back from a worker
        self.path, self.reason, self.mend = path, reason, mend

    def __str__(self) -> str:
        return f"{self.path} {self.reason}: {self.mend}"


@dataclass
class Loaded:
    """Pixels, the SHA-256 of the file(s) they came from, and notes: (reason, mend) of what is unusual."""

    pixels: np.ndarray
    sha256: str
    notes: list[tuple[str, str]] = field(default_factory=list)


def read_image(path: Path | str) -> np.ndarray:
    """Return an image as (H, W, 3) uint8 RGB, upright. Raises BadFile."""
    return load_image(path).pixels


def read_labels(path: Path | str, colours: Mapping[str, tuple[int, int, int]] | None = None) -> np.ndarray:
    """Return a mask as (H, W) uint8 classes. Raises BadFile.

    colours: part -> RGB; None takes white or {0, 1} as sclera, and the SSBC kit's red, green, blue.
    x_sclera.png takes in x_iris.png and x_pupil.png beside it (SBVPI keeps one file per part)."""
    return load_labels(path, colours).pixels


def load_image(path: Path | str) -> Loaded:
    """`read_image` with the file's hash and notes."""
    data = _read_bytes(Path(path))
    image, notes = _decode(data, Path(path))
    if image.mode in {"L", "1", "LA"}:
        notes.append(("is grey, not colour", "expected for near-infrared eyes only"))
    elif image.mode not in {"RGB", "RGBA", "P", "PA"}:
        raise BadFile(path, f"has pixels of mode {image.mode}", "export it as RGB with 8 bits a channel")
    if image.mode == "PA" or (image.mode == "P" and "transparency" in image.info):
        image = image.convert("RGBA")
    if image.mode in {"RGBA", "LA"} and image.getchannel("A").getextrema()[0] < 255:
        notes.append(("is partly transparent; the colours below were used", "export it without an alpha channel"))
    return Loaded(np.array(image.convert("RGB")), hashlib.sha256(data).hexdigest(), notes)


def load_labels(path: Path | str, colours: Mapping[str, tuple[int, int, int]] | None = None) -> Loaded:
    """`read_labels` with the hash of its file(s) and notes."""
    path = Path(path)
    main = _load_mask(path, colours)
    for part, companion in companions(path).items():
        extra = _load_mask(companion, colours)
        if extra.pixels.shape != main.pixels.shape:
            sizes = f"is {_size(extra.pixels)} but {path.name} is {_size(main.pixels)}"
            raise BadFile(companion, sizes, "export again")
        main.pixels[extra.pixels > 0] = LABELS[part]
        main.sha256 = hashlib.sha256(f"{main.sha256}{extra.sha256}".encode()).hexdigest()
        main.notes += [(f"(with {companion.name}, which {reason})", mend) for reason, mend in extra.notes]
    return main


def companions(mask: Path) -> dict[str, Path]:
    """The iris and pupil masks that belong to an x_sclera.* mask, iris first: the pupil is painted over it."""
    if not mask.stem.endswith("_sclera"):
        return {}
    found = {part: mask.with_name(mask.name.replace("_sclera.", f"_{part}.")) for part in ("iris", "pupil")}
    return {part: path for part, path in found.items() if path.is_file()}


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (H, W, 3) to size (H, W): area means when shrinking, bilinear otherwise."""
    if image.shape[:2] == tuple(size):
        return image
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def resize_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (H, W) classes to size (H, W) by nearest neighbour."""
    if labels.shape == tuple(size):
        return labels
    # plain INTER_NEAREST samples pixel corners and so shifts the mask against its image
    return cv2.resize(labels, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)


def encoded(name: str, pixels: np.ndarray) -> bytes:
    """The bytes of a .png, or a .jpg at quality 95, named so: (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA uint8."""
    quality = [cv2.IMWRITE_PNG_COMPRESSION, 1] if name.endswith(".png") else [cv2.IMWRITE_JPEG_QUALITY, 95]
    if pixels.ndim == 3:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]  # as OpenCV has them
    done, data = cv2.imencode(Path(name).suffix, np.ascontiguousarray(pixels), quality)
    if not done:
        raise ValueError(f"{name} could not be encoded: {pixels.shape} {pixels.dtype}")
    return data.tobytes()


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[0]}x{pixels.shape[1]}"


def _read_bytes(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe or a device would block or never end
            raise BadFile(path, "is not a file", "put the file there, or take it out of the list")
        n_bytes = path.stat().st_size
        if n_bytes == 0:
            raise BadFile(path, "is empty (zero bytes)", "copy it again from its source")
        if n_bytes > MAX_BYTES:
            raise BadFile(path, f"has {n_bytes:,} bytes, more than {MAX_BYTES:,}", "export it smaller")
        return path.read_bytes()
    except OSError as error:
        raise BadFile(path, f"cannot be read ({error.strerror})", "check its permissions and the disk") from None


def _decode(data: bytes, path: Path) -> tuple[Image.Image, list[tuple[str, str]]]:
    """Open, check and load; returns the upright image and notes."""
    expected = FORMATS.get(path.suffix.lower())
    if expected is None:
        raise BadFile(path, "is not named like an image", f"use one of {', '.join(FORMATS)}")
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            image = Image.open(io.BytesIO(data), formats=READABLE)
            notes = _check_header(image, expected, path)
            if image.format == "PNG":
                Image.open(io.BytesIO(data), formats=("PNG",)).verify()  # checksums, which load() skips
            image.load()
            upright = ImageOps.exif_transpose(image)
            is_turned = image.getexif().get(0x0112) in range(2, 9)
    except BadFile:
        raise
    except Image.DecompressionBombError:
        raise BadFile(path, "unpacks to far too many pixels", f"export it with at most {MAX_PIXELS:,}") from None
    except Image.UnidentifiedImageError:
        raise BadFile(path, "is not an image", "copy it again from its source") from None
    except Exception as error:  # decoders raise whatever the broken bytes lead them to
        reason = f"is damaged ({type(error).__name__}: {error})"
        raise BadFile(path, reason, "copy it again from its source") from None
    if is_turned:
        notes.append(("was turned upright by its EXIF orientation", "check the mask, or save the image upright"))
    notes += [(f"was read with a warning ({w.message})", "open it and look; export it again") for w in warned]
    return upright, notes


def _check_header(image: Image.Image, expected: tuple[str, ...], path: Path) -> list[tuple[str, str]]:
    """Refuse by what the header says, before any pixel is unpacked; returns notes."""
    width, height = image.size
    if image.format not in expected:
        raise BadFile(path, f"is a {image.format} file named {path.suffix}", "give it the right extension")
    if width * height > MAX_PIXELS:
        raise BadFile(path, f"is {height}x{width}, more than {MAX_PIXELS:,} pixels", "export it smaller")
    if min(width, height) < MIN_SIDE:
        raise BadFile(path, f"is {height}x{width}, too small for an eye", f"use at least {MIN_SIDE} pixels a side")
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise BadFile(path, f"holds {image.n_frames} pictures", "export a single one")
    deep = "I" not in image.mode and any(";16" in str(tile[3]) for tile in image.tile)
    return [("has 16 bits a channel and was cut to 8", "export it with 8 bits")] if deep else []


def _load_mask(path: Path, colours: Mapping[str, tuple[int, int, int]] | None) -> Loaded:
    """Decode one mask file."""
    data = _read_bytes(path)
    image, notes = _decode(data, path)
    lossy = image.format in LOSSY or path.suffix.lower() in {".jpg", ".jpeg", ".webp"}
    if image.mode in {"P", "PA"}:
        image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    if image.mode not in {"1", "L", "LA", "I", "I;16", "I;16B", "RGB", "RGBA"}:
        raise BadFile(path, f"is a mask of mode {image.mode}", "save it as PNG with 0 and 255")
    values = np.array(image)  # (H, W) or (H, W, channels)
    if image.mode in {"LA", "RGBA"}:
        values, alpha = values[..., :-1], values[..., -1]
        if (alpha < 255).any():
            values[alpha < 128] = 0
            notes.append(("is partly transparent; that was taken as background", "save the mask without alpha"))
    if values.ndim == 3 and all(np.array_equal(values[..., 0], values[..., channel]) for channel in (1, 2)):
        values = values[..., 0]
    if colours is None and values.ndim == 2:
        labels, more = _from_grey(values, path, lossy)
    else:
        rgb = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
        labels, more = _from_colours(rgb, path, colours, lossy)
    return Loaded(labels, hashlib.sha256(data).hexdigest(), notes + more)


def _from_grey(values: np.ndarray, path: Path, lossy: bool) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Classes of an (H, W) mask of {0, 1}, {0, 255} or {0, 65535}; soft edges are cut in the middle."""
    if values.min() < 0 or values.max() > 65535:
        raise BadFile(path, "has values outside 0 to 65535", "save it with 0 and 255")
    counts = np.bincount(values.ravel())
    present = set(np.flatnonzero(counts).tolist())
    if any(present <= {0, top} for top in (1, 255, 65535)):
        return (values > 0).astype(np.uint8), []
    white = 255 if values.max() <= 255 else 65535
    slack = white // 16 if lossy else 0
    between = (values > slack) & (values < white - slack)
    if values.max() < white - slack or _has_area(between, lossy):
        grey = max(present - {0, white}, key=lambda value: counts[value])
        mend = "save it with 0 for background and 255 for sclera, or declare the dataset's `colours`"
        raise BadFile(path, f"is no mask: {len(present)} grey values, most often {grey}", mend)
    note = f"has soft edges ({len(present)} grey values); they were cut in the middle"
    return (values > white // 2).astype(np.uint8), [(note, "save masks as PNG with 0 and 255 only")]


def _from_colours(
    rgb: np.ndarray, path: Path, colours: Mapping[str, tuple[int, int, int]] | None, lossy: bool
) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Classes of an (H, W, 3) mask by exact colours; a lossy file's may be off by a little."""
    table = [((0, 0, 0), 0), *((tuple(rgb), LABELS[part]) for part, rgb in (colours or KIT_COLOURS).items())]
    if colours is None:
        table.append(((255, 255, 255), SCLERA))
    labels = np.zeros(rgb.shape[:2], np.uint8)
    known = np.zeros(rgb.shape[:2], bool)
    red, green, blue = (rgb[..., channel].astype(np.uint32) for channel in range(3))
    packed = red << 16 | green << 8 | blue
    for colour, label in table:
        hit = packed == (colour[0] << 16 | colour[1] << 8 | colour[2])
        labels[hit] = label
        known |= hit
    if known.all():
        return labels, []
    strange = ~known
    if lossy:
        distances = np.stack([np.abs(rgb.astype(np.int16) - colour).max(axis=2) for colour, _ in table])
        strange = distances.min(axis=0) > 64
    if not lossy or _has_area(strange, lossy):
        unknown, counts = np.unique(rgb[strange], axis=0, return_counts=True)
        worst = tuple(unknown[counts.argmax()].tolist())
        mend = "declare the dataset's `colours`, or save the mask with the colours of its table"
        raise BadFile(path, f"has {counts.sum():,} pixels of unknown colours, most often {worst}", mend)
    labels = np.array([label for _, label in table], np.uint8)[distances.argmin(axis=0)]
    return labels, [("is a colour mask saved lossily; pixels took the nearest colour", "save masks as PNG")]


def _has_area(pixels: np.ndarray, lossy: bool) -> bool:
    """True when pixels are more than the seams of two pixels (lossy: four) that smoothing leaves along edges."""
    side = 5 if lossy else 3
    inner = cv2.erode(pixels.astype(np.uint8), np.ones((side, side), np.uint8))
    return inner.sum() > 0.1 * pixels.sum()  # where edges meet, a seam is wider
