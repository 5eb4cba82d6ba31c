"""Scores of one class, per image: probabilities (N, H, W) in [0, 1] and truth (N, H, W) bool -> a table of N rows.

Conventions: prediction = probability >= threshold; a ratio 0/0 is 0, as in scikit-learn and the SSBC evaluator."""

import numpy as np
import pandas as pd

PIXEL_COUNTS = ["tp", "fp", "fn", "error", "pixels"]
SCORES = ["f1", "iou", "precision", "recall", "mae"]


def ratio(numerator, denominator):
    """Element-wise numerator / denominator, with 0/0 = 0."""
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0)


def count_pixels(probs: np.ndarray, truth: np.ndarray, threshold: float = 0.5) -> pd.DataFrame:
    """True positives, false positives and false negatives, and the summed absolute error, an image a row."""
    if probs.shape != truth.shape:
        raise ValueError(f"predictions are {probs.shape} but the truth is {truth.shape}: resize one of them")
    predicted = probs >= threshold
    axes = (1, 2)
    return pd.DataFrame(
        {
            "tp": (predicted & truth).sum(axes),
            "fp": (predicted & ~truth).sum(axes),
            "fn": (~predicted & truth).sum(axes),
            "error": np.abs(probs.astype(np.float64) - truth).sum(axes),
            "pixels": probs.shape[1] * probs.shape[2],
        }
    )


def scores(counts: pd.DataFrame) -> pd.DataFrame:
    """F1, IoU, precision, recall and MAE, row by row, from `count_pixels`."""
    columns = overlap_scores(counts["tp"], counts["fp"], counts["fn"]) | {"mae": counts["error"] / counts["pixels"]}
    return pd.DataFrame(columns, index=counts.index)


def overlap_scores(tp, fp, fn) -> dict[str, np.ndarray]:
    """F1, IoU, precision and recall of true positives, false positives and false negatives, element by element."""
    return {
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
        "iou": ratio(tp, tp + fp + fn),
        "precision": ratio(tp, tp + fp),
        "recall": ratio(tp, tp + fn),
    }


def pooled_scores(counts: pd.DataFrame) -> pd.Series:
    """One score for all pixels together, as the slides report it; large sclerae weigh more than in the mean."""
    return scores(counts.sum().to_frame().T).iloc[0]


def f1_by_threshold(probs: np.ndarray, truth: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """F1 of each image (N, H, W) at each of T ascending thresholds -> (N, T), counting every pixel once."""
    edges = np.concatenate([[-np.inf], thresholds, [np.inf]])
    curves = []
    for prob, mask in zip(probs, truth, strict=True):
        bins = np.searchsorted(edges, prob.ravel(), side="right") - 1  # probability >= thresholds[bin - 1]
        counts = [np.bincount(bins[chosen.ravel()], minlength=len(edges) - 1) for chosen in (mask, ~mask)]
        tp, fp = reaching(np.stack(counts))[:, 1:]
        curves.append(overlap_scores(tp, fp, mask.sum() - tp)["f1"])
    return np.stack(curves)


def reaching(counts: np.ndarray) -> np.ndarray:
    """Counts (..., L) of pixels at each level of probability -> of those at that level or above."""
    return counts[..., ::-1].cumsum(axis=-1)[..., ::-1]
