"""Honest intervals: images of one person resemble each other, and so do the scores of one training.

interval(Sample(values, people, trainings), ...) -> the ends of an interval of a mean, or of any arithmetic on several,
such as a difference or a ratio. tests/scoring/test_intervals.py simulates how often they cover the truth."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from scipy.sparse.csgraph import connected_components

CONFIDENCE = 0.95
FEW_PEOPLE = 20  # below it an interval is rough: it stands on a spread that is itself hardly known
STEP = 1e-5  # of a mean, for the slope of what is made of it


class Sample(NamedTuple):
    """Values (N,) of images, NaN where there is none, the person on each (N,), and how much each counts (N,).

    trainings: which training each value is from (N,), where their chance is to be in the interval.
    Samples share the people, and the trainings, that have the same name in both."""

    values: ArrayLike
    people: ArrayLike
    weights: ArrayLike | None = None
    trainings: ArrayLike | None = None


class Estimate(NamedTuple):
    """What means come to (...), its standard error (...) and the degrees of freedom that this is known with (...)."""

    value: np.ndarray
    error: np.ndarray
    freedom: np.ndarray

    def interval(self) -> tuple[np.ndarray, np.ndarray]:
        reach = stats.t.ppf((1 + CONFIDENCE) / 2, self.freedom) * self.error
        return self.value - reach, self.value + reach

    def p(self) -> np.ndarray:
        """Two-sided, of no difference from zero."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return 2 * stats.t.sf(np.abs(self.value) / self.error, self.freedom)


def interval(*samples: Sample, of: Callable[..., ArrayLike] = np.asarray) -> tuple[np.ndarray, np.ndarray]:
    """Low and high of the 95 % interval of `of(a mean a sample)` (`estimate`)."""
    return estimate(*samples, of=of).interval()


def estimate(*samples: Sample, of: Callable[..., ArrayLike] = np.asarray) -> Estimate:
    """`of` the means over images, with the error that other people, and other trainings, would have made.

    of: one mean as it is, or any arithmetic on them, np.subtract for a difference; it gets arrays (R,) and may stack
    several results (..., R) of them. The error is that of the sum of what each person moves the result by (linearised
    clusters: for one mean over equally many images a person it is Student's t on people's means); trainings add what
    they vary by beyond that. Sides of other people are weighed by Welch and Satterthwaite (1946), trainings with more
    caution, as three of them say little of others. No error (NaN) where a sample has fewer than two people; a lone
    training adds nothing."""
    cells = _Cells.of(samples)
    steps = STEP * np.eye(len(samples))
    tried = np.concatenate([cells.means[None], cells.means + steps, cells.means - steps]).T  # (S, 1 + 2 S)
    found = np.asarray(of(*tried), float)
    above, below = np.split(found[..., 1:], 2, axis=-1)
    effects = (above - below) / (2 * STEP) @ cells.influence
    variance, doubt = _of_people(effects, cells)  # doubt: variance over degrees of freedom
    for more, freedom in _of_trainings(effects, cells):
        variance, doubt = variance + more, doubt + more / freedom
    with np.errstate(invalid="ignore"):
        freedom = np.where(doubt > 0, variance / np.where(doubt > 0, doubt, 1), 1)
    return Estimate(*(values[()] for values in (found[..., 0], np.sqrt(variance), freedom)))  # plain numbers for one


class _Cells(NamedTuple):
    """Samples by person and training, a cell (C) each: means (S,), what a cell moves each mean by (S, C), whether a
    sample has a value there (S, C), and the person and the training (C,) as numbers."""

    means: np.ndarray
    influence: np.ndarray
    present: np.ndarray
    people: np.ndarray
    trainings: np.ndarray

    @classmethod
    def of(cls, samples: tuple[Sample, ...]) -> "_Cells":
        tables = []
        for number, (values, people, weights, trainings) in enumerate(samples):
            values = np.asarray(values, float)
            counted = np.where(np.isnan(values), 0.0, 1.0 if weights is None else weights)
            names = {"person": np.asarray(people), "training": "" if trainings is None else np.asarray(trainings)}
            tables.append(
                pd.DataFrame({"sample": number, "weight": counted, "sum": np.nan_to_num(values) * counted, **names})
            )
        rows = pd.concat(tables, ignore_index=True)
        codes, names = pd.MultiIndex.from_frame(rows[["person", "training"]].astype(str)).factorize()
        sums, weights = np.zeros((2, len(samples), len(names)))
        np.add.at(sums, (rows["sample"], codes), rows["sum"])
        np.add.at(weights, (rows["sample"], codes), rows.weight)
        with np.errstate(invalid="ignore"):
            means = sums.sum(axis=1) / weights.sum(axis=1)
            influence = (sums - means[:, None] * weights) / weights.sum(axis=1, keepdims=True)
        people, trainings = (names.get_level_values(level).factorize(use_na_sentinel=False)[0] for level in (0, 1))
        return cls(means, influence, weights > 0, people, trainings)


def _of_people(effects: np.ndarray, cells: _Cells) -> tuple[np.ndarray, np.ndarray]:
    """Variance (...) that people bring, and that over its degrees of freedom; NaN where there are too few people."""
    totals, variance, doubt = _by_unit(effects, cells.people), 0.0, 0.0
    for units, n in _sides(cells.present, cells.people):
        part = n / (n - 1) * (totals[..., units] ** 2).sum(axis=-1) if n > 1 else np.full(effects.shape[:-1], np.nan)
        variance, doubt = variance + part, doubt + part**2 / max(n - 1, 1)
    return variance, doubt / np.where(variance > 0, variance, 1)


def _of_trainings(effects: np.ndarray, cells: _Cells) -> Iterator[tuple[np.ndarray, int]]:
    """Variance (...) that each set of trainings brings beyond what is a person's own in each, and its freedom."""
    totals = _by_unit(effects, cells.trainings)
    for units, n in _sides(cells.present, cells.trainings):
        mine = units[cells.trainings]
        k = len(np.unique(cells.people[mine]))
        if n < 2 or k < 2:
            continue
        people, trainings = (
            np.unique(codes[mine], return_inverse=True)[1] for codes in (cells.people, cells.trainings)
        )
        own = effects[..., mine]
        for codes in (people, trainings):
            own = own - (_by_unit(effects[..., mine], codes) / np.bincount(codes))[..., codes]
        mixed = n * k / ((n - 1) * (k - 1)) * (own**2).sum(axis=-1)
        part = n / (n - 1) * (totals[..., units] ** 2).sum(axis=-1)
        yield np.maximum(part - mixed, 0), n - 1


def _by_unit(effects: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Effects (..., C) added up over the cells of each unit (..., U)."""
    return effects @ (codes[:, None] == np.arange(codes.max(initial=-1) + 1)).astype(float)


def _sides(present: np.ndarray, codes: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Units that samples share, a mask (U,) a side, and how many the sample with the fewest of them has."""
    holds = _by_unit(present.astype(float), codes) > 0
    of_sample = connected_components(holds.astype(int) @ holds.T.astype(int) + np.eye(len(holds), dtype=int))[1]
    for side in np.unique(of_sample):
        mine = holds[of_sample == side]
        yield mine.any(axis=0), int(mine.sum(axis=1).min())
