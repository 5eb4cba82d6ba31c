"""Means with honest intervals: images of one person resemble each other, so people are resampled, not images."""

import numpy as np
import pandas as pd


def subject_means(scores: pd.DataFrame, by: list[str], score: str = "f1", n_resamples: int = 2000) -> pd.DataFrame:
    """Mean over images with a 95 % percentile interval from a bootstrap over subjects, a row a group.

    `scores` has one row an image with a `subject` column. Returns columns: by..., score, low, high, images, subjects;
    with fewer than two subjects there is no interval (NaN)."""
    rows = []
    for key, group in scores.groupby(by, sort=False):
        low, high = bootstrap_interval(group, score, n_resamples)
        found = {score: group[score].mean(), "low": low, "high": high}
        counts = {"images": len(group), "subjects": group.subject.nunique()}
        rows.append(dict(zip(by, key, strict=True)) | found | counts)
    return pd.DataFrame(rows, columns=[*by, score, "low", "high", "images", "subjects"])


def crossed_interval(values: np.ndarray, n_resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Percentile interval of the mean of values (S, N) when both rows and columns are drawn with replacement.

    For S seeds and N images: how far the mean might lie elsewhere with other seeds and other images."""
    rng = np.random.default_rng(seed)
    rows, columns = (rng.integers(n, size=(n_resamples, n)) for n in values.shape)
    means = values[rows[:, :, None], columns[:, None, :]].mean(axis=(1, 2))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def bootstrap_interval(group: pd.DataFrame, score: str, n_resamples: int, seed: int = 0) -> tuple[float, float]:
    """Percentile interval of the mean over images when subjects are drawn with replacement."""
    people = group.groupby("subject")[score].agg(["sum", "count"]).to_numpy()
    if len(people) < 2:
        return np.nan, np.nan
    draws = np.random.default_rng(seed).integers(len(people), size=(n_resamples, len(people)))
    sums, counts = people[draws].sum(axis=1).T
    low, high = np.percentile(sums / counts, [2.5, 97.5])
    return float(low), float(high)
