"""Means with honest intervals: images of one person resemble each other, so people are resampled, not images.

interval(values and people) -> the ends of an interval of a mean, or of a difference or ratio of several; tables of one
row an image with a `subject` column -> means, differences between runs, spreads over seeds."""

import itertools
import warnings
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import permutation_test, rankdata

RUN = ["system", "condition"]  # what a run is, apart from its seed
PERCENTILES = [2.5, 97.5]


class Sample(NamedTuple):
    """Values (N,) of images, NaN where there is none, the person on each (N,), and how much each counts (N,).

    Samples of the same people are drawn together, whoever of them has a value, and those of other people apart.
    `seed`: what draws them instead, where that must not follow from who the people are."""

    values: ArrayLike
    people: ArrayLike
    weights: ArrayLike | None = None
    seed: int | Sequence[int] | None = None


def interval(
    *samples: Sample, of: Callable[..., ArrayLike] = np.asarray, n_resamples: int = 2000
) -> tuple[np.ndarray, np.ndarray]:
    """Low and high of the 95 % interval of `of(a mean a sample)`, from a bootstrap over people.

    of: one mean as it is, or any arithmetic on them, np.subtract for a difference; it gets arrays (R,), a value a draw,
    and may stack several results (..., R) of them. NaN where fewer than two people have a value."""
    return limits(of(*(resampled_means(sample, n_resamples)[1:] for sample in samples)))


def estimate(*samples: Sample, of: Callable[..., ArrayLike] = np.asarray) -> np.ndarray:
    """What `interval` is about: `of` the means over all images."""
    return np.asarray(of(*(resampled_means(sample, 0) for sample in samples)))[..., 0]


def resampled_means(sample: Sample, n_resamples: int) -> np.ndarray:
    """Means over images (1 + R,): of everybody, then of the people of each draw.

    NaN for a draw of nobody who has a value, and for all draws where fewer than two people have one."""
    values = np.asarray(sample.values, float)
    weights = np.where(np.isnan(values), 0.0, 1.0 if sample.weights is None else sample.weights)
    table = pd.DataFrame({"sum": np.nan_to_num(values) * weights, "weight": weights})
    people = table.groupby(np.asarray(sample.people)).sum()
    enough = (people.weight > 0).sum() > 1
    seed = [0, zlib.crc32("\n".join(map(str, people.index)).encode())] if sample.seed is None else sample.seed
    drawn = draw_people(len(people), n_resamples, seed) if enough else np.arange(len(people))[None]
    sums, counts = people.to_numpy()[drawn].sum(axis=1).T
    with np.errstate(invalid="ignore"):
        means = sums / counts
    return means if enough else np.pad(means, (0, n_resamples), constant_values=np.nan)


def draw_people(n: int, n_resamples: int, seed: int | Sequence[int] | np.random.Generator) -> np.ndarray:
    """Rows of n people (1 + R, n): everybody once, then R times as many as they are, with replacement."""
    drawn = np.random.default_rng(seed).integers(n, size=(n_resamples, n))
    return np.concatenate([np.arange(n)[None], drawn])


def limits(resampled: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Low and high (...) between which 95 % of resampled values (..., R) lie; NaN values are not there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where all are NaN, both ends are
        low, high = np.nanpercentile(resampled, PERCENTILES, axis=-1)
    return low, high


def subject_means(scores: pd.DataFrame, by: list[str], score: str = "f1", n_resamples: int = 2000) -> pd.DataFrame:
    """Mean over images with a 95 % percentile interval from a bootstrap over subjects, a row a group.

    `scores` has one row an image with a `subject` column; images without a score (NaN) are left out. Returns columns:
    by..., score, low, high, images, subjects; with fewer than two subjects there is no interval (NaN)."""
    rows = []
    for key, group in scores.groupby(by, sort=False):
        group = group[group[score].notna()]
        low, high = interval(Sample(group[score], group.subject, seed=0), n_resamples=n_resamples)
        found = {score: group[score].mean(), "low": low, "high": high}
        counts = {"images": len(group), "subjects": group.subject.nunique()}
        rows.append(dict(zip(by, key, strict=True)) | found | counts)
    return pd.DataFrame(rows, columns=[*by, score, "low", "high", "images", "subjects"])


def several_means(scores: pd.DataFrame, by: list[str], names: dict[str, str]) -> pd.DataFrame:
    """`subject_means` of several scores side by side, each under its name of `names` with "low" and "high" after it.

    Further columns: images, subjects, and unscored, the most images that one of the scores does not exist for."""
    table = scores.groupby(by, sort=False).agg(images=("subject", "size"), subjects=("subject", "nunique"))
    fewest = table.images
    parts = []
    for score, name in names.items():
        found = subject_means(scores, by, score).set_index(by)
        fewest = np.minimum(fewest, found.images)
        columns = {score: name, "low": f"{name} low", "high": f"{name} high"}
        parts.append(found[list(columns)].rename(columns=columns))
    return pd.concat([*parts, table.assign(unscored=table.images - fewest)], axis=1).reset_index()


def crossed_interval(values: np.ndarray, n_resamples: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of the mean of values (S, N) when both rows and columns are drawn with replacement.

    For S seeds and N images: how far the mean might lie elsewhere with other seeds and other images."""
    rng = np.random.default_rng(seed)
    rows, columns = (draw_people(n, n_resamples, rng)[1:] for n in values.shape)
    return limits(values[rows[:, :, None], columns[:, None, :]].mean(axis=(1, 2)))


def paired_difference(first: pd.DataFrame, second: pd.DataFrame, score: str = "f1", n_resamples: int = 9999) -> dict:
    """How much higher `second` scores than `first` on the images that both have: their mean difference.

    low, high: 95 % bootstrap interval over subjects. p: two-sided, from flipping the sign of whole subjects, which is
    fair where the two runs could be exchanged; every flip is tried if there are at most n_resamples, so K subjects can
    show no p below 2 / 2^K. d: Cohen's d of paired values, the subjects' mean differences over their standard
    deviation. Both are NaN below two subjects; d also where all subjects differ alike. Further: images, subjects."""
    mine, theirs = first[["image_id", "subject", score]], second[["image_id", score]]
    both = mine.merge(theirs, on="image_id", suffixes=("", " second"))
    both = both.assign(change=both[f"{score} second"] - both[score]).dropna(subset="change")
    people = both.groupby("subject").change.agg(["sum", "mean"])
    low, high = interval(Sample(both.change, both.subject, seed=0))
    found = {"change": both.change.mean(), "low": low, "high": high, "p": np.nan, "d": np.nan}
    if len(people) > 1:
        spread = people["mean"].std()
        found |= {"p": sign_flip_p(people["sum"].to_numpy(), n_resamples)}
        found |= {"d": people["mean"].mean() / spread if spread > 1e-12 else np.nan}
    return found | {"images": len(both), "subjects": len(people)}


def sign_flip_p(sums: np.ndarray, n_resamples: int = 9999) -> float:
    """Two-sided p of a total of paired differences (K,), a sum a subject, when any subject's sign might be the other.

    Every flip is tried if there are at most n_resamples; NaN for a single subject."""
    if len(sums) < 2:
        return np.nan

    def total(ours: np.ndarray, zeros: np.ndarray, axis: int) -> np.ndarray:
        """Exchanging a subject's sum with zero is flipping its sign."""
        return ours.sum(axis=axis) - zeros.sum(axis=axis)

    how = {"permutation_type": "samples", "n_resamples": n_resamples, "rng": np.random.default_rng(0)}
    return float(permutation_test((sums, np.zeros_like(sums)), total, vectorized=True, **how).pvalue)


def compare_runs(scores: pd.DataFrame, by: str = "label", score: str = "f1") -> pd.DataFrame:
    """`paired_difference` for every two trainings that differ in one thing only, condition or system, in each `by`.

    Seeds are averaged image by image first. p (Holm) holds p adjusted for all rows of the table (`holm`), so that the
    chance of any false finding among them stays below the level it is held against. Columns: by, first, second, then
    those of `paired_difference`; first is the one that the config names first. Conditions come before systems."""
    keys = [*RUN, by, "image_id", "subject"]
    means = scores.groupby(keys, sort=False, as_index=False)[score].mean()
    trainings = list(means.groupby(RUN, sort=False))
    rows = []
    pairs = [(a, b) for a, b in itertools.combinations(trainings, 2) if sum(map(str.__ne__, a[0], b[0])) == 1]
    for (one, first), (other, second) in sorted(pairs, key=lambda pair: pair[0][0][0] != pair[1][0][0]):
        for name, mine in first.groupby(by, sort=False):
            theirs = second[second[by] == name]
            if mine.image_id.isin(theirs.image_id).any():
                words = {by: name, "first": "-".join(one), "second": "-".join(other)}
                rows.append(words | paired_difference(mine, theirs, score))
    columns = [by, "first", "second", "change", "low", "high", "p", "d", "images", "subjects"]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(columns.index("p") + 1, "p (Holm)", holm(table.p.to_numpy(float)))
    return table


def holm(p: np.ndarray) -> np.ndarray:
    """p-values (N,) adjusted for N tests by Holm's step-down method (1979); NaN was no test and stays."""
    adjusted, tested = np.full(len(p), np.nan), np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def seed_spread(scores: pd.DataFrame, by: list[str], score: str = "f1") -> pd.DataFrame:
    """How far seeds alone move the mean: by..., seeds, their mean, sd (of one seed, NaN for one), least and most."""
    each = scores.groupby([*by, "seed"], sort=False)[score].mean()
    names = {"seeds": "size", score: "mean", "sd": "std", "least": "min", "most": "max"}
    return each.groupby(level=by, sort=False).agg(**names).reset_index()


def rank_correlation(scores: pd.DataFrame, factor: str, score: str = "f1", n_resamples: int = 500) -> dict:
    """Spearman's rank correlation over images, with a 95 % interval from a bootstrap over subjects.

    Keys: rho, low, high, images, subjects; NaN where either value is the same for all images."""
    values, people = scores[[factor, score]].to_numpy(float), scores.groupby("subject").indices
    rho, low, high = _spearman(values), np.nan, np.nan
    if len(people) > 1 and not np.isnan(rho):
        rows = list(people.values())
        draws = draw_people(len(rows), n_resamples, seed=0)[1:]
        low, high = limits([_spearman(values[np.concatenate([rows[k] for k in draw])]) for draw in draws])
    return {"rho": rho, "low": low, "high": high, "images": len(scores), "subjects": len(people)}


def _spearman(values: np.ndarray) -> float:
    ranks = rankdata(values, axis=0)
    if (np.ptp(ranks, axis=0) == 0).any():
        return np.nan
    return float(np.corrcoef(ranks.T)[0, 1])
