"""Images scored in every way at once, batch by batch, with no pixel kept afterwards.

Tally.add(labels, probs (B, H, W) float, truth (B, H, W) bool) -> a table of one row an image, mean F1 by threshold,
and counts of probabilities from which reliability and precision-recall curves are drawn."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from cgdseg.scoring.boundaries import BORDER_SCORES, border_scores
from cgdseg.scoring.calibration import COUNTS, LEVELS, brier_scores, count_levels, error_of
from cgdseg.scoring.metrics import SCORES, count_pixels, f1_by_threshold, scores

THRESHOLDS = np.arange(0.05, 0.96, 0.05).round(2)
CALIBRATION = ["brier", "brier_foreground", "ece", "ece_foreground"]
EVERY_SCORE = [*SCORES, *BORDER_SCORES, *CALIBRATION, "empty"]


class Tally:
    """What is known of the images that one predictor was shown; its memory grows by a table row an image."""

    def __init__(self, threshold: float):
        self.threshold = threshold
        self._tables: list[pd.DataFrame] = []
        self._curves: list[np.ndarray] = []
        self._labels: list[str] = []
        self._levels: dict[str, np.ndarray] = {}

    def add(self, labels: Sequence[str], probs: np.ndarray, truth: np.ndarray) -> None:
        """Score a batch (B, H, W); `labels` names the dataset of each image. ValueError when shapes differ."""
        counts = count_pixels(probs, truth, self.threshold)
        more = []
        for label, prob, mask in zip(labels, probs, truth, strict=True):
            levels = count_levels(prob, mask)
            self._levels[label] = self._levels.get(label, 0) + levels
            more.append(border_scores(prob >= self.threshold, mask) | calibration_scores(prob, mask, levels))
        self._labels += labels
        self._curves.append(f1_by_threshold(probs, truth, THRESHOLDS))
        empty = (counts.tp + counts.fp == 0).astype(int).rename("empty")
        self._tables.append(pd.concat([counts, scores(counts), pd.DataFrame(more), empty], axis=1))

    def scores(self) -> pd.DataFrame:
        """One row an image, in the order they came: tp, fp, fn, error, pixels and EVERY_SCORE."""
        return pd.concat(self._tables, ignore_index=True)

    def sweep(self) -> pd.DataFrame:
        """Mean F1 over the images of each dataset at each of THRESHOLDS: dataset, threshold, f1."""
        means = pd.DataFrame(np.concatenate(self._curves), columns=THRESHOLDS).groupby(self._labels, sort=False).mean()
        return means.rename_axis("dataset").rename_axis(columns="threshold").stack().rename("f1").reset_index()

    def levels(self) -> pd.DataFrame:
        """`calibration.count_levels` summed over the images of each dataset: dataset, level, pixels, found, said."""
        named = {name: pd.DataFrame(levels, columns=COUNTS) for name, levels in self._levels.items()}
        return pd.concat(named, names=["dataset", "level"]).reset_index()


def calibration_scores(prob: np.ndarray, truth: np.ndarray, levels: np.ndarray) -> dict[str, float]:
    """CALIBRATION of one image (H, W); `levels` are those of the same image."""
    errors = [error_of(levels), error_of(levels, foreground=True)]
    return dict(zip(CALIBRATION, [*brier_scores(prob, truth), *errors], strict=True))


def levels_of(table: pd.DataFrame, by: list[str]) -> Iterable[tuple[tuple, np.ndarray]]:
    """Each group's counted levels (101, 3) in a table of `Tally.levels`: what calibration.py draws its curves from."""
    for key, group in table.groupby(by, sort=False):
        yield key, group.groupby("level")[COUNTS].sum().reindex(range(LEVELS + 1), fill_value=0).to_numpy()
