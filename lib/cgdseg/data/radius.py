"""How near is a near copy? The radius of `copies.near_copies`, measured on the eyes at hand.

In: a manifest and its pictures. Out: Calibration: distances of copies that were made here, and of different people."""

from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd

from cgdseg.data.copies import ALIKE, BITS, TURNS, Picture, blocks, codes, fingerprint, judged, nearest
from cgdseg.data.images import resize_image

FOUND = 0.95  # of the copies of each promised kind lie within the radius
FALSE = 1e-4  # at most this share of pairs of different people: a second look takes milliseconds
LIKEST = 300  # pairs of different people that are looked at twice


def _encoded(image: np.ndarray) -> np.ndarray:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def _trimmed(share: float):
    def trim(image: np.ndarray) -> np.ndarray:
        top, left = (max(1, round(share * side)) for side in image.shape[:2])
        return image[top:-top, left:-left]

    return trim


CHANGES = {  # what is done to a picture before it is looked for; each is also mirrored or turned at random
    "JPEG at quality 40": _encoded,
    "half the size": lambda image: resize_image(image, (image.shape[0] // 2, image.shape[1] // 2)),
    "brighter, in part white": lambda image: np.clip(1.3 * image + 10, 0, 255).astype(np.uint8),
    "darker (gamma 1.5)": lambda image: (255 * (image / 255) ** 1.5).astype(np.uint8),
    "blurred": lambda image: cv2.GaussianBlur(image, (0, 0), max(image.shape) / 150),
    "3 % cut off each side": _trimmed(0.03),
    "5 % cut off each side": _trimmed(0.05),
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


def calibrate(manifest: pd.DataFrame, picture: Picture, n: int = 60, seed: int = 0) -> Calibration:
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
    return Calibration(radius, copies, strangers, likest)


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
            both = pd.DataFrame({"image_id": ["image", "copy"], "phash": [table.phash[i], fingerprint(copy)]})
            pair = pd.DataFrame({"i": [0], "j": [1], "distance": [_apart(both.phash)]})
            looked = judged(both, pair, {"image": image, "copy": copy}.__getitem__)
            rows.append((change, change not in BEYOND, int(looked.distance[0]), looked.alike[0]))
    return pd.DataFrame(rows, columns=["change", "promised", "distance", "alike"])


def _apart(pair: pd.Series) -> int:
    found = codes(pair)
    return nearest(found[:1], found[1:]).item()


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
