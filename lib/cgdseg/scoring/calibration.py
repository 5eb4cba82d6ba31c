"""Whether probabilities mean what they say: of pixels given 0.8, do eight in ten belong to the sclera?

probabilities and truth of any one shape -> a reliability table, an expected calibration error, a temperature; or
level counts (101, 3), which add up over images so that no pixel has to be kept.

Foreground means pixels given FOREGROUND or more: chosen by what was said, never by the truth, or else a perfectly
calibrated model would look shy. Sclera given less is outside it; recall and the scores over all pixels count that."""

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, logit

from cgdseg.scoring.metrics import reaching

LEAST_PROBABILITY = 1e-6  # probabilities of exactly 0 and 1 have no logit
FOREGROUND = 0.1
LEVELS = 100  # percents of probability
COUNTS = ["pixels", "found", "said"]  # pixels at a level, those of them that are sclera, their probabilities' sum


def count_levels(probs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """COUNTS at each whole percent of probability, rounded down: (101, 3) float64; sums of it are as good.

    Less than a millionth short of a level counts as reaching it, because 0.29 is less than 0.29 in single precision."""
    levels = (probs * np.float32(LEVELS) + np.float32(1e-4)).astype(np.int64).ravel()
    weights = (None, truth.ravel(), probs.ravel())
    return np.stack([np.bincount(levels, each, LEVELS + 1) for each in weights], axis=1)


def reliability_of(levels: np.ndarray) -> pd.DataFrame:
    """The table of `reliability_of_pixels`, in tenths, from counted levels."""
    return _table(*_tenths(levels).T)


def error_of(levels: np.ndarray, foreground: bool = False) -> float:
    """`calibration_error` from counted levels, a hundred times faster than by way of a table."""
    tenths = _tenths(levels)[round(10 * FOREGROUND) if foreground else 0 :]
    pixels, found, said = tenths.T
    return float(np.abs(said - found).sum() / pixels.sum()) if pixels.any() else np.nan


def _tenths(levels: np.ndarray) -> np.ndarray:
    """Levels (101, 3) added up to ten equally wide bins (10, 3); a probability of 1 belongs to the last."""
    tenths = levels[:-1].reshape(10, -1, len(COUNTS)).sum(axis=1)
    tenths[-1] += levels[-1]
    return tenths


def reliability_of_pixels(probs: np.ndarray, truth: np.ndarray, n_bins: int = 10) -> pd.DataFrame:
    """A row an equally wide bin: low, high, pixels, mean probability (said), share of true pixels (found)."""
    bins = np.minimum((probs.ravel() * n_bins).astype(int), n_bins - 1)
    found, said = np.bincount(bins, truth.ravel(), n_bins), np.bincount(bins, probs.ravel(), n_bins)
    return _table(np.bincount(bins, minlength=n_bins), found, said)


def _table(pixels: np.ndarray, found: np.ndarray, said: np.ndarray) -> pd.DataFrame:
    edges, each = np.arange(len(pixels)) / len(pixels), np.maximum(pixels, 1)
    table = {"low": edges, "high": edges + 1 / len(pixels), "pixels": pixels.astype(int)}
    return pd.DataFrame(table).assign(said=said / each, found=found / each)


def calibration_error(table: pd.DataFrame, foreground: bool = False) -> float:
    """Expected calibration error of a reliability table: mean |said - found|, weighted by pixels.

    foreground: only bins from FOREGROUND up, because plain background would swamp the rest; NaN where none is."""
    if foreground:
        table = table[table.low >= FOREGROUND - 1e-9]
    pixels = table.pixels.sum()
    return float(((table.said - table.found).abs() * table.pixels).sum() / pixels) if pixels else np.nan


def brier_scores(probs: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Mean squared error of probabilities over all pixels, and over the foreground (NaN where there is none)."""
    errors = np.square(probs - truth, dtype=np.float64)
    said = probs >= FOREGROUND
    return float(errors.mean()), float(errors[said].mean()) if said.any() else np.nan


def precision_recall_of(levels: np.ndarray) -> pd.DataFrame:
    """Precision and recall of all counted pixels together at thresholds 0.00 to 1.00: threshold, precision, recall.

    Precision is 1 where nothing is predicted, as scikit-learn ends its curves."""
    predicted, hits = reaching(levels[:, :2].T)
    precision = np.divide(hits, predicted, out=np.ones(LEVELS + 1), where=predicted > 0)
    recall, thresholds = hits / max(hits[0], 1), np.arange(LEVELS + 1) / LEVELS
    return pd.DataFrame({"threshold": thresholds, "precision": precision, "recall": recall})


def fit_temperature(probs: np.ndarray, truth: np.ndarray) -> float:
    """The T for which sigmoid(logit(p) / T) has the least cross-entropy (Guo et al. 2017)."""
    logits = logit(np.clip(probs.ravel().astype(np.float64), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY))
    signed = np.where(truth.ravel(), logits, -logits)

    def cross_entropy(log_t: float) -> float:
        return -log_expit(signed / np.exp(log_t)).mean()

    return float(np.exp(minimize_scalar(cross_entropy, bounds=(-2, 2), method="bounded").x))
