"""Whether probabilities mean what they say: of pixels given 0.8, do eight in ten belong to the sclera?

probabilities and truth of any one shape -> a reliability table, an expected calibration error, a temperature."""

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, logit

EPSILON = 1e-6  # probabilities of exactly 0 and 1 have no logit


def reliability(probs: np.ndarray, truth: np.ndarray, n_bins: int = 10) -> pd.DataFrame:
    """A row an equally wide bin: low, high, pixels, mean probability (said), share of true pixels (found)."""
    bins = np.minimum((probs.ravel() * n_bins).astype(int), n_bins - 1)
    pixels = np.bincount(bins, minlength=n_bins)
    said = np.bincount(bins, probs.ravel(), n_bins)
    found = np.bincount(bins, truth.ravel(), n_bins)
    edges = np.arange(n_bins) / n_bins
    table = {"low": edges, "high": edges + 1 / n_bins, "pixels": pixels, "said": said, "found": found}
    return pd.DataFrame(table).assign(said=said / np.maximum(pixels, 1), found=found / np.maximum(pixels, 1))


def calibration_error(table: pd.DataFrame, foreground: bool = False) -> float:
    """Expected calibration error of a reliability table: mean |said - found|, weighted by pixels.

    foreground: only bins from 0.1 up, because plain background would swamp the rest."""
    if foreground:
        table = table[table.low >= 0.1 - 1e-9]
    return float(((table.said - table.found).abs() * table.pixels).sum() / max(table.pixels.sum(), 1))


def fit_temperature(probs: np.ndarray, truth: np.ndarray) -> float:
    """The T for which sigmoid(logit(p) / T) has the least cross-entropy (Guo et al. 2017)."""
    logits = logit(np.clip(probs.ravel().astype(np.float64), EPSILON, 1 - EPSILON))
    signed = np.where(truth.ravel(), logits, -logits)

    def cross_entropy(log_t: float) -> float:
        return -log_expit(signed / np.exp(log_t)).mean()

    return float(np.exp(minimize_scalar(cross_entropy, bounds=(-2, 2), method="bounded").x))
