"""Near copies: one picture under two names, re-encoded, resized, relit, trimmed a little, mirrored or turned.

In: images (H, W, 3) and the manifest's `phash` column, codes of 256 bits. Out: pairs within a radius of bits, in the
eight symmetries of a rectangle, that a second look at aligned thumbnails confirms; `calibrate` measures the radius."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy.fft import dctn

from cgdseg.data.images import read_image, resize_image

SIDE = 16  # frequencies a side: 256 bits tell trimmed copies from similar eyes, which the usual 64 do not
BITS = SIDE * SIDE
THUMB = 4 * SIDE  # pixels a side
NEAR = 60  # bits of 256; about what notebook 01 measures on the demo's eyes, for folders that are only audited
ALIKE = 0.9  # correlation of aligned thumbnails: copies have 0.93 or more, the likest eyes of two people 0.80 (demo)
COARSE_LIGHT = 3.0  # pixels of a thumbnail: coarser differences of light do not count in the second look
BENT = 0.2  # most that an aligned copy may be stretched, sheared or moved, as a share of its size
FAR = np.int16(999)
PAIR_COLUMNS = ["first", "second", "distance", "same_subject", "turned", "alike"]

Picture = Callable[[str], np.ndarray]  # image_id -> (H, W, 3) uint8


def perceptual_hash(image: np.ndarray) -> str:
    """A perceptual hash of (H, W, 3) uint8: 64 hexadecimal digits, the signs of its lowest 16x16 frequencies.

    As `imagehash.phash`, but cut at zero instead of the median: a mirrored picture then has the same bits with those of
    odd frequencies inverted, so that one code answers for all eight symmetries exactly."""
    signs = dctn(_grey(image))[:SIDE, :SIDE] > 0
    return np.packbits(_by_parity(signs)).tobytes().hex()


def codes(phashes: pd.Series) -> np.ndarray:
    """Fingerprints -> (N, 2, 4) uint64: upright and transposed; a word each for frequencies that are even and even,
    even and odd, odd and even, odd and odd (vertical, horizontal)."""
    packed = np.frombuffer(bytes.fromhex("".join(phashes)), np.uint8).reshape(len(phashes), BITS // 8)
    bits = np.unpackbits(packed, axis=1).reshape(-1, 2, 2, SIDE // 2, SIDE // 2)
    both = np.stack([bits, bits.transpose(0, 2, 1, 4, 3)], axis=1)
    return np.packbits(both.reshape(-1, BITS), axis=1).view(np.uint64).reshape(-1, 2, 4)


def _by_parity(signs: np.ndarray) -> np.ndarray:
    """(16, 16) by frequency -> (2, 2, 8, 8): odd vertical, odd horizontal, then the frequencies of that kind."""
    return signs.reshape(SIDE // 2, 2, SIDE // 2, 2).transpose(1, 3, 0, 2)


TURNS = {  # how the second picture is brought upon the first; the order is that of `_distances`
    "as it is": lambda picture: picture,
    "mirrored": lambda picture: picture[:, ::-1],
    "upside down": lambda picture: picture[::-1],
    "half turn": lambda picture: picture[::-1, ::-1],
    "mirrored at a diagonal": lambda picture: picture.swapaxes(0, 1),
    "quarter turn": lambda picture: picture.swapaxes(0, 1)[:, ::-1],
    "quarter turn back": lambda picture: picture.swapaxes(0, 1)[::-1],
    "mirrored at the other diagonal": lambda picture: picture.swapaxes(0, 1)[::-1, ::-1],
}


def _distances(first: np.ndarray, second: np.ndarray) -> Iterator[np.ndarray]:
    """Bits apart under each of TURNS; codes (..., 2, 4) that broadcast."""
    for transposed in (0, 1):
        words = (np.bitwise_count(first[..., 0, w] ^ second[..., transposed, w]).astype(np.int16) for w in range(4))
        even, across, along, both = words
        yield even + across + along + both
        yield even + (64 - across) + along + (64 - both)
        yield even + across + (64 - along) + (64 - both)
        yield even + (64 - across) + (64 - along) + both


def fewest_bits(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The smallest distance over the eight symmetries of codes that broadcast, in bits."""
    closest = None
    for distance in _distances(first, second):
        closest = distance if closest is None else np.minimum(closest, distance, out=closest)
    return closest


def blocks(found: np.ndarray, n_rows: int = 128) -> Iterator[tuple[int, np.ndarray]]:
    """Distances of codes (N, 2, 4) among themselves, in blocks that fit into memory: (start, (rows, N - start)).

    Pairs that stand in an earlier block, and pictures with themselves, are FAR."""
    for start in range(0, len(found), n_rows):
        block = fewest_bits(found[start : start + n_rows, None], found[None, start:])
        block[np.tri(*block.shape, dtype=bool)] = FAR
        yield start, block


def within(found: np.ndarray, radius: int) -> pd.DataFrame:
    """Pairs of codes (N, 2, 4) at most `radius` bits apart: DataFrame[i, j, distance]; 15,000 codes take 5 seconds."""
    parts = [np.empty((0, 3), int)]
    for start, block in blocks(found):
        i, j = np.nonzero(block <= radius)
        parts.append(np.column_stack([i + start, j + start, block[i, j]]))
    return pd.DataFrame(np.concatenate(parts), columns=["i", "j", "distance"])


def near_copies(manifest: pd.DataFrame, picture: Picture, radius: int = NEAR) -> pd.DataFrame:
    """Pairs of different files that show one picture: DataFrame[first, second, distance (bits of 256), same_subject,
    turned (how the second lies upon the first), alike (correlation of their aligned thumbnails)]."""
    table = manifest.sort_values("image_id", ignore_index=True)
    pairs = judged(table, within(codes(table.phash), radius), picture)
    pairs = pairs[pairs.alike >= ALIKE]
    first, second = (table.loc[pairs[side]].reset_index(drop=True) for side in "ij")
    named = pairs.reset_index(drop=True).assign(first=first.image_id, second=second.image_id)
    named["same_subject"] = first.subject == second.subject
    return named.loc[first.image_sha256 != second.image_sha256, PAIR_COLUMNS].reset_index(drop=True)


def judged(table: pd.DataFrame, pairs: pd.DataFrame, picture: Picture) -> pd.DataFrame:
    """Look twice at the pairs i, j of a manifest's rows: adds `turned` and `alike`."""
    found, names = codes(table.phash), list(TURNS)
    ids = table.image_id.to_numpy()
    thumbs = {row: thumbnail(picture(ids[row])) for row in sorted({*pairs.i, *pairs.j})}
    turned, alike = [], []
    for pair in pairs.itertuples():
        best = names[int(np.argmin([distance.item() for distance in _distances(found[pair.i], found[pair.j])]))]
        turned.append(best)
        alike.append(likeness(thumbs[pair.i], TURNS[best](thumbs[pair.j])))
    return pairs.assign(turned=np.array(turned, str), alike=np.array(alike, float))


def thumbnail(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (64, 64) float32, its fine structure only."""
    grey = _grey(image)
    return grey - cv2.GaussianBlur(grey, (0, 0), COARSE_LIGHT)


def likeness(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of two thumbnails after the affine shift that raises it most (Evangelidis and Psarakis 2008).

    0 where there is no such shift within BENT: between different pictures the best one may fold them into a line."""
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
    start = np.eye(2, 3, dtype=np.float32)
    second = np.ascontiguousarray(second)
    try:
        alike, shift = cv2.findTransformECC(first, second, start.copy(), cv2.MOTION_AFFINE, stop, None, 5)
    except cv2.error:
        return 0.0
    return float(alike) if np.abs((shift - start) / (1, 1, THUMB)).max() <= BENT else 0.0


def from_files(manifest: pd.DataFrame, folders: dict[str, Path]) -> Picture:
    """Read pictures as they are asked for; folders: where each dataset lies."""
    files = {row.image_id: folders[row.dataset] / row.image for row in manifest.itertuples()}
    return lambda image_id: read_image(files[image_id])


def _grey(image: np.ndarray) -> np.ndarray:
    """(64, 64) float32; squashed to a square, so that quarter turns keep it."""
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (THUMB, THUMB), interpolation=cv2.INTER_AREA).astype(np.float32)


FOUND = 0.95  # of the copies of each promised kind lie within the radius
FALSE = 1e-4  # at most this share of pairs of different people: a second look takes milliseconds
LIKEST = 300  # pairs of different people that are looked at twice


def _encoded(image: np.ndarray) -> np.ndarray:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def _trimmed(image: np.ndarray, share: float) -> np.ndarray:
    top, left = (max(1, round(share * side)) for side in image.shape[:2])
    return image[top:-top, left:-left]


CHANGES = {  # what is done to a picture before it is looked for; each is also mirrored or turned at random
    "JPEG at quality 40": _encoded,
    "half the size": lambda image: resize_image(image, (image.shape[0] // 2, image.shape[1] // 2)),
    "brighter, in part white": lambda image: np.clip(1.3 * image + 10, 0, 255).astype(np.uint8),
    "darker (gamma 1.5)": lambda image: (255 * (image / 255) ** 1.5).astype(np.uint8),
    "blurred": lambda image: cv2.GaussianBlur(image, (0, 0), max(image.shape) / 150),
    "3 % cut off each side": partial(_trimmed, share=0.03),
    "5 % cut off each side": partial(_trimmed, share=0.05),
}
BEYOND = {"5 % cut off each side"}  # shown, to say where the search ends, but not promised


@dataclass(frozen=True)
class Calibration:
    """The radius in bits of 256, and what it was chosen from.

    copies: DataFrame[change, promised, distance, alike], a row a copy made here. strangers: (257,) pairs of images of
    different people by distance. likest: DataFrame[i, j, distance, turned, alike], the nearest of those pairs."""

    radius: int
    copies: pd.DataFrame
    strangers: np.ndarray
    likest: pd.DataFrame

    def missed(self) -> float:
        """Share of promised copies that the search does not find, by either look."""
        promised = self.copies[self.copies.promised]
        return float(1 - ((promised.distance <= self.radius) & (promised.alike >= ALIKE)).mean())

    def strangers_within(self, radius: int | None = None) -> float:
        """Share of pairs of different people that the radius takes in, before the second look."""
        radius = self.radius if radius is None else radius
        return float(self.strangers[: radius + 1].sum() / max(1, self.strangers.sum()))


def calibrate_search(manifest: pd.DataFrame, picture: Picture, n: int = 60, seed: int = 0) -> Calibration:
    """Make copies of n images and measure how far they move; measure how far apart different people are.

    The radius takes in 95 % of each promised kind of copy, or fewer where it would take in more than one pair of
    different people in 10,000. Pairs of "different" people that prove to be one picture do not count as such: they are
    what is sought, and must not hide themselves."""
    table = manifest.sort_values("image_id", ignore_index=True)
    copies = made_copies(table, picture, n, seed)
    strangers, likest = strangers_of(table, picture)
    measured = Calibration(0, copies, strangers, likest)
    kinds = copies[copies.promised].groupby("change").distance
    radius = int(max(np.quantile(distances, FOUND, method="higher") for _, distances in kinds))
    while radius and measured.strangers_within(radius) > FALSE:
        radius -= 1
    return replace(measured, radius=radius)


def made_copies(table: pd.DataFrame, picture: Picture, n: int, seed: int) -> pd.DataFrame:
    """Each of CHANGES on each of n images: DataFrame[change, promised, distance, alike]."""
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(len(table), min(n, len(table)), replace=False))
    rows = []
    for i in chosen:
        image = picture(table.image_id[i])
        for change, alter in CHANGES.items():
            turn = list(TURNS.values())[rng.integers(len(TURNS))]
            copy = np.ascontiguousarray(turn(alter(image)))
            both = pd.DataFrame({"image_id": ["image", "copy"], "phash": [table.phash[i], perceptual_hash(copy)]})
            apart = fewest_bits(*codes(both.phash)[:, None]).item()
            pair = pd.DataFrame({"i": [0], "j": [1], "distance": [apart]})
            looked = judged(both, pair, {"image": image, "copy": copy}.__getitem__)
            rows.append((change, change not in BEYOND, int(looked.distance[0]), looked.alike[0]))
    return pd.DataFrame(rows, columns=["change", "promised", "distance", "alike"])


def strangers_of(table: pd.DataFrame, picture: Picture) -> tuple[np.ndarray, pd.DataFrame]:
    """Pairs of different people by distance (257,), and the LIKEST nearest of them, looked at twice.

    Pairs that the second look takes for one picture are in neither."""
    found, people = codes(table.phash), table.subject.factorize()[0]
    counts, parts = np.zeros(BITS + 1, int), [np.empty((0, 3), int)]
    reach = BITS
    for start, block in blocks(found):
        block[people[start : start + len(block), None] == people[None, start:]] = BITS + 1
        counts += np.bincount(np.minimum(block, BITS + 1).ravel(), minlength=BITS + 2)[: BITS + 1]
        reach = min(reach, int(np.searchsorted(counts.cumsum(), LIKEST)))  # the distance of the pair that is LIKEST-th
        i, j = np.nonzero(block <= reach)
        parts.append(np.column_stack([i + start, j + start, block[i, j]]))
    pairs = pd.DataFrame(np.concatenate(parts), columns=["i", "j", "distance"])
    pairs = pairs.sort_values("distance", kind="stable", ignore_index=True).head(LIKEST)
    looked = judged(table, pairs, picture)
    same = looked.alike >= ALIKE
    counts -= np.bincount(looked.distance[same], minlength=BITS + 1)
    return counts, looked[~same].reset_index(drop=True)
