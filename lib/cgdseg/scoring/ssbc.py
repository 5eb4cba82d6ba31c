"""The scores of the sclera segmentation competitions (SSBC), and the slides', from one count of each image's pixels.

In: masks (H, W), True or 255 where there is sclera, and maps (H, W) uint8 or in [0, 1], an image at a time.
Out: a frame protocol x dataset x score, or the 2025 evaluator's JSON. Written from descriptions, not from its code.

ssbc2025: scores of each image at its own size, meaned over images; "overall" is the mean over all data sets' images.
ssbc2020: all at 480x360; the pixels of each of five shuffled folds of images together; mean and deviation over folds.
pooled:   all pixels of a data set together, as the slides seem to count."""

from collections.abc import Iterable

import cv2
import numpy as np
import pandas as pd

from cgdseg.data.images import resize_image, resize_labels
from cgdseg.scoring.metrics import overlap_scores, ratio, reaching

WHITE = 255  # what the evaluator takes for sclera in a mask; 254 and 1 are background
MOST_PIXELS = 2**23  # OpenCV counts in single precision, which is exact up to 2**24
SIZE_2020 = (360, 480)  # (H, W)
N_FOLDS = 5
OVERALL = "overall"
EVERYTHING_KNOWN = {
    "Binary": ("F1", "IoU", "Precision", "Recall"),
    "Probabilistic": ("F1", "IoU", "Precision", "Recall", "AUC"),
}
PROTOCOLS = {  # what each reports
    "ssbc2025": {"Binary": ("F1", "IoU"), "Probabilistic": ("F1", "Precision", "Recall")},
    "ssbc2020": EVERYTHING_KNOWN,
    "pooled": EVERYTHING_KNOWN,
}


def count_values(binary: np.ndarray, probability: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Pixels of an image by binary prediction, truth and 8-bit probability: (2, 2, 256), all that a score needs.

    Masks (H, W) bool or uint8 with 255; the map (H, W) uint8. Raises ValueError when their sizes differ."""
    if not binary.shape == probability.shape == truth.shape:
        shapes = f"{binary.shape}, {probability.shape} and {truth.shape}"
        raise ValueError(f"binary, probability and truth are {shapes}: they must have one size")
    case = 2 * _positive(binary).astype(np.uint8) + _positive(truth)
    n_parts = 1 + probability.size // MOST_PIXELS
    parts = [np.array_split(pixels.ravel(), n_parts) for pixels in (case, probability)]
    found = [cv2.calcHist(pair, [0, 1], None, [4, 256], [0, 4, 0, 256]) for pair in zip(*parts, strict=True)]
    return np.sum(found, axis=0, dtype=np.int64).reshape(2, 2, 256)


def binary_scores(counts: np.ndarray) -> pd.DataFrame:
    """F1, IoU, Precision and Recall of binary masks, a row for each of N `count_values` (N, 2, 2, 256); 0/0 is 0."""
    (_, fn), (fp, tp) = np.moveaxis(counts.sum(axis=-1), 0, -1)
    return pd.DataFrame(overlap_scores(tp, fp, fn)).set_axis(["F1", "IoU", "Precision", "Recall"], axis=1)


def precision_recall_of_counts(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall (N, 257) of N `count_values` at each threshold 0, 1, ... 255 and above.

    As scikit-learn's precision_recall_curve, with points repeated where a map lacks a value: where nothing is predicted
    precision is 1; where there is nothing to find recall is 1, but 0 at the end of the curve."""
    alarms, hits = reaching(counts.sum(axis=1)).swapaxes(0, 1)  # (N, 256) each
    found = hits + alarms
    precision = np.where(found > 0, ratio(hits, found), 1.0)
    n_true = hits[:, :1]
    recall = np.where(found > 0, np.where(n_true > 0, ratio(hits, n_true), 1.0), 0.0)
    end = np.ones((len(counts), 1))
    return np.hstack([precision, end]), np.hstack([recall, 0 * end])


def probabilistic_scores(counts: np.ndarray) -> pd.DataFrame:
    """Best F1 over all thresholds with its IoU, Precision and Recall, and AUC, a row for each of N `count_values`.

    Of points with one recall only the most precise can win; among equal F1 the one of highest recall does, so that a
    truth without sclera gives precision 0 and recall 1. AUC: the area under the curve of these points, by trapezia."""
    precision, recall = precision_recall_of_counts(counts)
    falls = recall[:, :-1] != recall[:, 1:]
    last = np.pad(falls, ((0, 0), (0, 1)), constant_values=True)  # of its recall: most precise
    place = np.where(last, np.arange(recall.shape[1]), recall.shape[1])
    precision = np.take_along_axis(precision, np.minimum.accumulate(place[:, ::-1], axis=1)[:, ::-1], axis=1)
    f1 = ratio(2 * precision * recall, precision + recall)
    best = f1.argmax(axis=1)  # the first: recall falls along the curve
    row = np.arange(len(counts))
    top = f1[row, best]
    columns = {"F1": top, "IoU": ratio(top, 2 - top), "Precision": precision[row, best], "Recall": recall[row, best]}
    return pd.DataFrame(columns | {"AUC": -np.trapezoid(precision, recall, axis=1)})


def score_counts(counts: np.ndarray) -> pd.DataFrame:
    """All scores of N `count_values` (N, 2, 2, 256), a row each; columns (output, score)."""
    return pd.concat({"Binary": binary_scores(counts), "Probabilistic": probabilistic_scores(counts)}, axis=1)


def protocol_scores(protocol: str, counts: np.ndarray, seed: int = 0) -> pd.DataFrame:
    """Scores of N images under a protocol of PROTOCOLS, a row a score: output, score, mean, std, images.

    std: over folds for ssbc2020, over images for ssbc2025, missing for pooled. seed: which images share a fold."""
    if protocol == "ssbc2025":
        rows = score_counts(counts)
    elif protocol == "ssbc2020":
        order = np.random.default_rng(seed).permutation(len(counts))
        parts = [part for part in np.array_split(order, N_FOLDS) if len(part)]
        rows = score_counts(np.stack([counts[part].sum(axis=0) for part in parts]))
    else:
        rows = score_counts(counts.sum(axis=0)[None])
    spread = rows.std(ddof=0) if protocol != "pooled" else rows.iloc[0] * np.nan
    wanted = [(output, score) for output, scores in PROTOCOLS[protocol].items() for score in scores]
    table = pd.DataFrame({"mean": rows.mean(), "std": spread}).loc[wanted].rename_axis(["output", "score"])
    return table.reset_index().assign(images=len(counts))


class Scorer:
    """Takes images one at a time, keeps only their counts, and scores them by every protocol asked for.

    A protocol that compares pixels as they are wants masks and map of one size; ssbc2020 resizes them."""

    def __init__(self, protocols: Iterable[str] = tuple(PROTOCOLS), seed: int = 0):
        self.protocols, self.seed = tuple(protocols), seed
        unknown = [name for name in self.protocols if name not in PROTOCOLS]
        if unknown:
            raise ValueError(f"protocol {unknown[0]}: give one of {', '.join(PROTOCOLS)}")
        self._native: dict[str, list[np.ndarray]] = {}
        self._resized: dict[str, list[np.ndarray]] = {}

    def add(self, dataset: str, binary: np.ndarray, probability: np.ndarray, truth: np.ndarray) -> None:
        """Count one image. Masks (H, W) bool, or uint8 with 255; map (H, W) uint8, or floats in [0, 1] to be rounded.

        Raises ValueError when a protocol needs one size and theirs differ, or when a map has other values."""
        grey = _eight_bit(probability)
        if {"ssbc2025", "pooled"} & set(self.protocols):
            self._native.setdefault(dataset, []).append(count_values(binary, grey, truth))
        if "ssbc2020" in self.protocols:
            masks = (resize_labels(_positive(mask).astype(np.uint8), SIZE_2020) > 0 for mask in (binary, truth))
            resized = count_values(next(masks), resize_image(grey, SIZE_2020), next(masks))
            self._resized.setdefault(dataset, []).append(resized)

    def table(self) -> pd.DataFrame:
        """One frame: protocol, dataset, output, score, mean, std, images; the last data set is "overall"."""
        tables = []
        for protocol in self.protocols:
            found = self._resized if protocol == "ssbc2020" else self._native
            everything = [counts for images in found.values() for counts in images]
            for dataset, images in {**found, OVERALL: everything}.items():
                if images:
                    scores = protocol_scores(protocol, np.stack(images), self.seed)
                    tables.append(scores.assign(protocol=protocol, dataset=dataset))
        columns = ["protocol", "dataset", "output", "score", "mean", "std", "images"]
        return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)

    def summary(self, protocol: str) -> dict:
        """The scores of a protocol by data set, nested as the 2025 evaluator writes them, with the number of images.

        A score of ssbc2020 is {"mean", "std"}, all others are numbers."""
        table = self.table()
        result: dict = {}
        for row in table[table.protocol == protocol].itertuples():
            scores = result.setdefault(row.dataset, {output: {} for output in PROTOCOLS[protocol]})
            scores[row.output][row.score] = {"mean": row.mean, "std": row.std} if protocol == "ssbc2020" else row.mean
            scores["images"] = row.images
        return result


def _positive(mask: np.ndarray) -> np.ndarray:
    return mask if mask.dtype == bool else mask == WHITE


def _eight_bit(probability: np.ndarray) -> np.ndarray:
    if probability.dtype == np.uint8:
        return probability
    if not (probability.dtype.kind == "f" and probability.min() >= 0 and probability.max() <= 1):
        raise ValueError(f"a probability map of {probability.dtype} must be uint8, or floats in 0 to 1")
    return np.round(probability * 255).astype(np.uint8)
