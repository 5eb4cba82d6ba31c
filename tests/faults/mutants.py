"""Pairs of an image and a mask, most of them broken on purpose, and what must become of each.

MUTANTS: name -> (expectation, function that writes a pair at image and mask paths without ending).
refused: named and never used. noted: named, and used or not. clean: used and not named. exact: refused, or used with
the very pixels of the undamaged file. A function returns the two paths."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tiny_data import SIP, draw_eye

NAMES = [
    'q"uote', "o'brien", "<script>alert(1)<", "new\nline", "tab\tstop", "目の画像", "глаз", "é", "a&amp;b", "$\\bad$",
    "-rf", "%s%n", "{run}", "a;b", " space ", "=1+1", "x" * 120, "\x1b[31mred", "\u202egnp", "[0-9]*", "~", "#", "a\\b",
]  # fmt: skip


def eye(seed: int) -> tuple[np.ndarray, np.ndarray]:
    image, labels = draw_eye(seed)
    return image, np.where(labels == 1, 255, 0).astype(np.uint8)


def write(path: Path, pixels, **options) -> Path:
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(path, **options)
    return path


def pair(image: Path, mask: Path, seed: int, suffix=".png", **options):
    pixels, white = eye(seed)
    return write(image.with_name(image.name + suffix), pixels, **options), write(
        mask.with_name(mask.name + ".png"), white
    )


def of_image(change, suffix=".png"):
    """A mutant whose image is changed after it was written: change(path, random generator, pixels)."""

    def make(image, mask, seed):
        paths = pair(image, mask, seed, suffix)
        change(paths[0], np.random.default_rng(seed), eye(seed)[0])
        return paths

    return make


def of_mask(change):
    """A mutant whose mask is changed: change(path, random generator, white mask)."""

    def make(image, mask, seed):
        paths = pair(image, mask, seed)
        change(paths[1], np.random.default_rng(seed), eye(seed)[1])
        return paths

    return make


def truncate(path, random, _):
    data = path.read_bytes()
    path.write_bytes(data[: int(random.uniform(0.01, 0.99) * len(data))])


def flip_bits(path, random, _):
    data = bytearray(path.read_bytes())
    for place in random.integers(0, len(data), 3):
        data[place] ^= 1 << int(random.integers(8))
    path.write_bytes(data)


def bomb(path, random, _):
    side = int(random.integers(9_000, 65_000))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\0" * 4096))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b""))


def turned(path, random, pixels):
    exif = Image.Exif()
    exif[0x0112] = int(random.choice([2, 3, 4]))  # the size stays, so only a note tells
    write(path, pixels, exif=exif)


def quarter_turned(path, random, pixels):
    exif = Image.Exif()
    exif[0x0112] = int(random.choice([5, 6, 7, 8]))
    write(path, pixels, exif=exif)


def deep_colour(path, _, pixels):
    kept = path.with_name("deep.png")  # OpenCV wants plain names
    cv2.imwrite(str(kept), pixels[..., ::-1].astype(np.uint16) * 257)
    kept.rename(path)


def transparent_palette(path, _, pixels):
    write(path, Image.fromarray(pixels).quantize(16), transparency=bytes([0] * 16))


def two_pages(path, _, pixels):
    write(path, pixels, save_all=True, append_images=[Image.fromarray(pixels)])


def gone(path, *_):
    path.unlink()


def dangling(path, *_):
    path.unlink()
    path.symlink_to("/nowhere/at/all.png")


def content(data: bytes):
    return lambda path, *_: path.write_bytes(data)


def saved(mode: str, depth=None, **options):
    """Save the pixels in another mode of Pillow, or as another type of numbers."""

    def change(path, _, pixels):
        picture = Image.fromarray(pixels).convert(mode) if mode else Image.fromarray(depth(pixels))
        write(path, picture, **options)

    return change


def wide_grey(pixels):
    return (pixels[..., 0] if pixels.ndim == 3 else pixels).astype(np.uint16) * 257


def not_numbers(pixels):
    return np.full(pixels.shape[:2], np.nan, np.float32)


MUTANTS = {
    "undamaged": ("clean", pair),
    "palette image": ("clean", of_image(saved("P"))),
    "16-bit mask": ("clean", of_mask(saved("", wide_grey))),
    "1-bit mask": ("clean", of_mask(saved("1"))),
    "grey image": ("noted", of_image(saved("L"))),
    "EXIF flip or half turn": ("noted", of_image(turned)),
    "EXIF quarter turn": ("refused", of_image(quarter_turned)),
    "16-bit colour": ("noted", of_image(deep_colour)),
    "transparent palette": ("noted", of_image(transparent_palette)),
    "soft mask": ("noted", of_mask(lambda p, _, white: write(p, cv2.GaussianBlur(white, (3, 3), 0)))),
    "empty mask": ("noted", of_mask(lambda p, _, white: write(p, white * 0))),
    "16-bit grey": ("refused", of_image(saved("", wide_grey))),
    "CMYK JPEG": ("refused", of_image(saved("CMYK", format="JPEG"), ".jpg")),
    "CMYK TIFF": ("refused", of_image(saved("CMYK"), ".tif")),
    "NaN image": ("refused", of_image(saved("", not_numbers), ".tif")),
    "zero bytes": ("refused", of_image(content(b""))),
    "text": ("refused", of_image(content(b"not a picture at all"))),
    "HTML": ("refused", of_image(content(b"<html><script>alert(1)</script></html>"))),
    "pickle": ("refused", of_image(content(b"\x80\x04K\x01."))),
    "numpy array": ("refused", of_image(content(b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'}"))),
    "JPEG named PNG": ("refused", of_image(saved("RGB", format="JPEG"))),
    "PNG named JPEG": ("refused", of_image(saved("RGB", format="PNG"), ".jpg")),
    "GIF named PNG": ("refused", of_image(saved("P", format="GIF"))),
    "decompression bomb": ("refused", of_image(bomb)),
    "two pages": ("refused", of_image(two_pages, ".tif")),
    "too small": ("refused", of_image(lambda p, _, pixels: write(p, pixels[:9, :9]))),
    "link to nowhere": ("refused", of_image(dangling)),
    "bits flipped, PNG": ("exact", of_image(flip_bits)),
    **{f"truncated {s[1:]}": ("exact", of_image(truncate, s)) for s in (".png", ".jpg", ".bmp", ".tif", ".webp")},
    "mask missing": ("refused", of_mask(gone)),
    "mask of zero bytes": ("refused", of_mask(content(b""))),
    "mask truncated": ("exact", of_mask(truncate)),
    "mask of another size": ("refused", of_mask(lambda p, _, white: write(p, white[:-3]))),
    "mask full": ("refused", of_mask(lambda p, _, white: write(p, white * 0 + 255))),
    "mask inverted": ("refused", of_mask(lambda p, _, white: write(p, 255 - white))),
    "mask of NaN": ("refused", of_mask(lambda p, _, white: write(p, not_numbers(white), format="TIFF"))),
    "mask of unknown colours": (
        "refused",
        of_mask(lambda p, _, white: write(p, (SIP[(white > 0).astype(int)] // 2 + 17))),
    ),
    "photograph for a mask": ("refused", of_mask(lambda p, random, white: write(p, eye(int(random.integers(99)))[0]))),
}


def write_folder(folder: Path, n_each: int) -> list[tuple[str, str, Path, Path, int]]:
    """n_each of every mutant below Images/ and Masks/, under hostile names -> (mutant, expectation, paths, seed)."""
    made = []
    for sub in ("Images", "Masks"):
        (folder / sub).mkdir(parents=True)
    for number in range(n_each * len(MUTANTS)):
        kind = list(MUTANTS)[number % len(MUTANTS)]
        expectation, make = MUTANTS[kind]
        stem = f"{number:05d}{NAMES[number % len(NAMES)]}"
        made.append((kind, expectation, *make(folder / "Images" / stem, folder / "Masks" / stem, number), number))
    return made
