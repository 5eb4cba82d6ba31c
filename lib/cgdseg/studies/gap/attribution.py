"""What a gap consists of: the source is moved towards the target in every set of factors.

take_apart(predict, source, target) -> points of F1 that each factor explains, by Shapley values over these sets, with
intervals over people. `predict` maps images (B, H, W, 3) uint8 to masks (B, H, W) bool. Moves do not commute: those of
a set are always made in the order of MOVES, and no other order of moves is tried."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import factorial

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

from cgdseg import loops
from cgdseg.config import Config
from cgdseg.data.cache import open_cache
from cgdseg.models.contract import Predictor, sclera_of
from cgdseg.models.predictor import Segmenter
from cgdseg.scoring.intervals import Sample, estimate
from cgdseg.scoring.metrics import count_pixels, scores
from cgdseg.studies.gap.moves import MIXES, MOVES, MovedEye

FACTORS = (*MOVES, *MIXES)
MOST_WEIGHT = 5.0  # of the mean: a single image must not stand for all
Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Eyes:
    """Images (N, H, W, 3) uint8, their sclera (N, H, W) bool and the person on each (N,)."""

    images: np.ndarray
    sclera: np.ndarray
    people: np.ndarray

    def each(self) -> list[MovedEye]:
        return [MovedEye(image, sclera) for image, sclera in zip(self.images, self.sclera, strict=True)]


@dataclass(frozen=True)
class Coalitions:
    """F1 (N,) of every source image and its weight (N,), for each set of factors; F1 (M,) of the target images."""

    f1: dict[frozenset, np.ndarray]
    weights: dict[frozenset, np.ndarray]
    away: np.ndarray
    source_people: np.ndarray
    target_people: np.ndarray


def load_eyes(cfg: Config, segmenter: Segmenter, chosen: pd.DataFrame) -> Eyes:
    """Chosen images (image_id, subject) as the segmenter sees them."""
    cache = open_cache(cfg, segmenter.input_size)
    images = np.stack([cache.image(image_id) for image_id in chosen.image_id])
    return Eyes(images, cache.sclera(chosen.image_id), chosen.subject.to_numpy())


def masks_by(predictor: Predictor, threshold: float) -> Predict:
    """Images -> masks of a predictor at the images' own size."""
    return lambda images: sclera_of(predictor, images) >= threshold


def take_apart(predict: Predict, source: Eyes, target: Eyes, seed: int = 0) -> pd.DataFrame:
    """How many points of the gap each factor explains (`points_of`): predict every coalition, then share out."""
    return points_of(predict_coalitions(predict, source, target, seed))


def predict_coalitions(predict: Predict, source: Eyes, target: Eyes, seed: int = 0) -> Coalitions:
    """Score the source after the moves of each of the 2^k sets of factors, and the target as it is."""
    eyes, goals = source.each(), goals_of(source, target)
    wanted = mix_features(target.each())
    f1, weights = {}, {}
    known: dict[bytes, dict[frozenset, np.ndarray]] = {}  # few moves change a mask, and weights go by masks alone
    sets, f1_once = moved_eyes(eyes, goals, seed), _remembering(predict)
    for moves, moved in loops.bar(sets, total=2 ** len(MOVES), desc="sets of factors", leave=False):
        scored = f1_once(moved)
        masks = np.stack([eye.sclera for eye in moved]).tobytes()
        if masks not in known:
            present = mix_features(moved)
            known[masks] = {mixes: mix_weights(present, wanted, mixes) for mixes in _subsets(MIXES)}
        for mixes, weight in known[masks].items():
            f1[moves | mixes], weights[moves | mixes] = scored, weight
    return Coalitions(f1, weights, f1_of(predict, target.each()), source.people, target.people)


def goals_of(source: Eyes, target: Eyes) -> dict[str, np.ndarray]:
    """The statistics (N, S) that each source eye is moved to, by name of the move.

    The eye of rank r among the sources gets the value of rank r among the targets, each statistic by itself: the whole
    distribution is matched, and sharp eyes stay the sharper ones. NaN where an eye has no such statistic."""
    goals = {}
    for name, move in MOVES.items():
        have, want = (np.stack([move.measure(eye) for eye in eyes.each()]) for eyes in (source, target))
        goals[name] = np.stack([_coupled(a, b) for a, b in zip(have.T, want.T, strict=True)], axis=1)
    return goals


def _coupled(have: np.ndarray, want: np.ndarray) -> np.ndarray:
    goal, known, want = np.full(len(have), np.nan), np.isfinite(have), want[np.isfinite(want)]
    if known.any() and len(want):
        places = (rankdata(have[known], method="ordinal") - 0.5) / known.sum()
        goal[known] = np.quantile(want, places, method="hazen")
    return goal


def moved_eyes(eyes: list[MovedEye], goals: dict[str, np.ndarray], seed: int = 0):
    """Yield (set of moves, moved eyes) for every set; moves are made in the order of MOVES, each on what it finds."""

    def grow(chosen: frozenset, now: list[MovedEye], rest: Sequence[str]):
        if not rest:
            yield chosen, now
            return
        name, *later = rest
        yield from grow(chosen, now, later)
        moved = [_moved(name, eye, goals[name][i], seed, i) for i, eye in enumerate(now)]
        yield from grow(chosen | {name}, moved, later)

    yield from grow(frozenset(), eyes, tuple(MOVES))


def moved_pictures(source: Eyes, target: Eyes, row: int = 0, seed: int = 0) -> list[tuple[str, np.ndarray]]:
    """Captioned pictures of one source eye: as it is, after each move, after all of them; and an eye of the target."""
    goals = {name: goal[row : row + 1] for name, goal in goals_of(source, target).items()}
    found = {moves: eyes[0].image for moves, eyes in moved_eyes(source.each()[row : row + 1], goals, seed)}
    single = [(name, found[frozenset({name})]) for name in MOVES]
    return [("source", found[frozenset()]), *single, ("all six", found[frozenset(MOVES)]), ("target", target.images[0])]


def _moved(name: str, eye: MovedEye, goal: np.ndarray, seed: int, i: int) -> MovedEye:
    if not np.isfinite(goal).all():
        return eye
    rng = np.random.default_rng([seed, list(MOVES).index(name), i])
    return MOVES[name].apply(eye, goal, rng)


def f1_of(predict: Predict, eyes: list[MovedEye]) -> np.ndarray:
    """F1 (N,) of the predicted masks; an empty prediction of an empty mask is 0, as everywhere."""
    predicted, truth = predict(np.stack([eye.image for eye in eyes])), np.stack([eye.sclera for eye in eyes])
    return scores(count_pixels(predicted, truth)).f1.to_numpy()


def _remembering(predict: Predict) -> Callable[[list[MovedEye]], np.ndarray]:
    """`f1_of` that predicts no eye twice: a move leaves an eye as it is that is where it should be."""
    known: dict[bytes, float] = {}

    def f1_once(eyes: list[MovedEye]) -> np.ndarray:
        keys = [sha256(eye.image.tobytes() + eye.sclera.tobytes()).digest() for eye in eyes]
        new = {key: eye for key, eye in zip(keys, eyes, strict=True) if key not in known}
        if new:
            known.update(zip(new, f1_of(predict, list(new.values())), strict=True))
        return np.array([known[key] for key in keys])

    return f1_once


def mix_features(eyes: list[MovedEye]) -> dict[str, np.ndarray]:
    """What weights go by (N,), by name; a closed eye has the median gaze."""
    found = {name: np.array([measure(eye.sclera) for eye in eyes]) for name, measure in MIXES.items()}
    usual = {name: np.nanmedian(values) if np.isfinite(values).any() else 0 for name, values in found.items()}
    return {name: np.where(np.isfinite(values), values, usual[name]) for name, values in found.items()}


def mix_weights(present: dict[str, np.ndarray], wanted: dict[str, np.ndarray], mixes: frozenset) -> np.ndarray:
    """Weights (N,) of mean 1 under which the source has the target's mix: the odds of a logistic regression on the
    features and their squares (Bickel et al. 2009), none above MOST_WEIGHT."""
    n = len(next(iter(present.values())))
    if not mixes:
        return np.ones(n)
    columns = [np.concatenate([present[name], wanted[name]]) for name in sorted(mixes)]
    values = np.stack([(column - column.mean()) / (column.std() + 1e-9) for column in columns], axis=1)
    values = np.concatenate([values, values**2], axis=1)
    sides = np.arange(len(values)) >= n
    model = LogisticRegression(class_weight="balanced", max_iter=1000).fit(values, sides)
    odds = np.exp(model.decision_function(values[:n]))
    odds = np.minimum(odds / odds.mean(), MOST_WEIGHT)
    return odds / odds.mean()


def shapley(values: dict[frozenset, np.ndarray], players: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Shapley value of each player from the value of every set of players (Shapley 1953); arrays element by element."""
    n, found = len(players), {}
    for player in players:
        teams = _subsets(other for other in players if other != player)
        shares = [factorial(len(team)) * factorial(n - len(team) - 1) / factorial(n) for team in teams]
        gains = (values[team | {player}] - values[team] for team in teams)
        found[player] = sum(share * gain for share, gain in zip(shares, gains, strict=True))
    return found


def points_of(
    coalitions: Coalitions, groups: Mapping[str, Sequence[str]] = {name: (name,) for name in FACTORS}
) -> pd.DataFrame:
    """A row a factor, then `explained` (their sum), `unexplained` (the rest) and `gap`: F1 lost, with 95 % intervals.

    Columns: factor, points, low, high, share (of the gap), share low, share high, then images and people of source and
    target. Intervals are over people of both, as if weights and goals were known. Shares are NaN where the gap's
    interval holds zero. groups: rows that stand for several factors each."""
    teams = list(coalitions.f1)
    home = [Sample(coalitions.f1[t], coalitions.source_people, coalitions.weights[t]) for t in teams]
    away = Sample(coalitions.away, coalitions.target_people)

    def lost(away: np.ndarray, *home: np.ndarray) -> np.ndarray:
        """Points, then shares of the gap: (2, rows, R)."""
        values = dict(zip(teams, home, strict=True))
        gained = shapley(values, FACTORS)
        each = [-sum(gained[name] for name in names) for names in groups.values()]
        gap = values[frozenset()] - away
        points = np.stack([*each, sum(each), gap - sum(each), gap])
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.stack([points, points / gap])

    found = estimate(away, *home, of=lost)
    (low, share_low), (high, share_high) = found.interval()
    points, share = found.value
    columns = {"factor": [*groups, "explained", "unexplained", "gap"], "points": points, "low": low, "high": high}
    shares = {"share": share, "share low": share_low, "share high": share_high}
    is_gap = low[-1] > 0
    columns |= {name: values if is_gap else np.nan for name, values in shares.items()}
    sides = {"source": coalitions.source_people, "target": coalitions.target_people}
    counts = {f"{side} images": len(people) for side, people in sides.items()}
    counts |= {f"{side} people": len(np.unique(people)) for side, people in sides.items()}
    return pd.DataFrame(columns).assign(**counts)


def _subsets(names) -> list[frozenset]:
    names = list(names)
    return [frozenset(team) for size in range(len(names) + 1) for team in itertools.combinations(names, size)]
