"""How far apart two sets of eyes lie in the features of a frozen encoder, and how far chance alone would put them.

features (N, D) float and the person on each image (N,) -> unbiased MMD² with a permutation p, proxy A-distance and
Fréchet distance. People, not images, are the units: the images of one person resemble each other."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy import linalg
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cgdseg import loops
from cgdseg.config import CGDSeg, Config, Size
from cgdseg.data.cache import open_cache
from cgdseg.models.contract import BATCH
from cgdseg.models.inspect import trace
from cgdseg.models.layers import to_batch
from cgdseg.models.predictor import load_segmenter
from cgdseg.models.vision import build_patch_encoder

AXES = 8  # principal axes at most that a Fréchet distance is taken in; it needs many more images than axes
PER_AXIS = 8  # images an axis, at least
DISTANCES = ["mmd2", "a_distance", "frechet"]


@dataclass(frozen=True)
class Features:
    """What an encoder makes of some eyes: values (N, D), a row an image of `eyes` (label, subject, domain)."""

    encoder: str  # in words
    values: np.ndarray
    eyes: pd.DataFrame

    def of(self, label: str) -> tuple[np.ndarray, np.ndarray]:
        """Values (n, D) and people (n,) of one dataset."""
        chosen = (self.eyes.label == label).to_numpy()
        return self.values[chosen], self.eyes.subject.to_numpy()[chosen]


def extract(cfg: Config, eyes: pd.DataFrame) -> Features:
    """Features of the images named in `eyes`, scaled to deviation 1 a feature; features that never vary are dropped."""
    words, size, encode = frozen_encoder(cfg)
    cache = open_cache(cfg, size)
    rows = [cache.row(image_id) for image_id in eyes.image_id]
    starts = loops.bar(range(0, len(rows), BATCH), desc="features", leave=False)
    values = np.concatenate([encode(list(cache.images[rows[start : start + BATCH]])) for start in starts])
    spread = values.std(axis=0)
    kept = spread > 1e-6 * spread.max()
    return Features(words, (values[:, kept] - values[:, kept].mean(axis=0)) / spread[kept], eyes)


def frozen_encoder(cfg: Config) -> tuple[str, Size, Callable[[list[np.ndarray]], np.ndarray]]:
    """An encoder that none of the config's runs has moved: (in words, size (H, W) of its images, images -> (B, D)).

    Mean patch tokens of a pretrained backbone where a system of the config has one, before any adapter; else means of
    the deepest encoder features of the U-Net that ships with the repository, which has seen rendered eyes only."""
    known = (system for system in cfg.systems.values() if isinstance(system, CGDSeg))
    if system := next((system for system in known if system.backbone.source != "random"), None):
        frozen = system.backbone.model_copy(update={"tuning": "frozen"})
        encoder = build_patch_encoder(frozen, system.input_size).eval()
        encode = _means(lambda images: encoder(to_batch(images)))
        return f"mean patch tokens of {system.backbone.source}", system.input_size, encode
    release = load_segmenter(device="cpu")
    deepest = f"encoder.{len(release.model.encoder) - 1}"
    encode = _means(lambda images: trace(release.model, release.to_batch(images))[deepest])
    return "mean deepest features of the U-Net that ships with the repository", cfg.evaluation.size, encode


def _means(features: Callable[[list[np.ndarray]], torch.Tensor]) -> Callable[[list[np.ndarray]], np.ndarray]:
    """Features (B, C, h, w) of images meaned over places: (B, C)."""
    return torch.inference_mode()(lambda images: features(images).mean((2, 3)).numpy())


def people_kernel(features: np.ndarray, people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """RBF kernel between people: (P, P) means over their pairs of images, and the P names.

    The bandwidth is the median distance between images of different people (the median heuristic)."""
    names, codes = np.unique(people, return_inverse=True)
    distances = cdist(features, features, "sqeuclidean")
    apart = distances[codes[:, None] != codes]
    kernel = np.exp(-distances / (2 * max(np.median(apart), 1e-12)))
    share = (codes == np.arange(len(names))[:, None]).astype(float)
    share /= share.sum(axis=1, keepdims=True)
    return share @ kernel @ share.T, names


def mmd2(kernel: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Unbiased squared maximum mean discrepancy (Gretton et al. 2012, eq. 3): pairs of one person are left out.

    kernel (P, P) of `people_kernel`; target (P,) bool says who is of the target, (R, P) R times over -> () or (R,)."""
    inside = np.atleast_2d(target).astype(float)
    outside, off = 1 - inside, kernel - np.diag(np.diag(kernel))
    n, m = inside.sum(axis=1), outside.sum(axis=1)
    if (np.minimum(n, m) < 2).any():
        raise ValueError("MMD² needs two people on each side: give it more images")
    within = [((side @ off) * side).sum(axis=1) / (k * (k - 1)) for side, k in ((inside, n), (outside, m))]
    values = within[0] + within[1] - 2 * ((inside @ kernel) * outside).sum(axis=1) / (n * m)
    return values if np.ndim(target) == 2 else values[0]


def permutation_p(kernel: np.ndarray, target: np.ndarray, n_permutations: int = 1000, seed: int = 0) -> float:
    """Share of random relabellings of people with an MMD² at least as large, the one observed counted in."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permuted(np.tile(target, (n_permutations, 1)), axis=1)
    found = mmd2(kernel, shuffled) >= mmd2(kernel, target) - 1e-12
    return float((1 + found.sum()) / (1 + n_permutations))


def proxy_a_distance(first: np.ndarray, second: np.ndarray, people: np.ndarray, seed: int = 0) -> float:
    """2 (1 - 2 error) of a linear classifier that tells first (n, D) from second (m, D): 0 not at all, 2 always.

    Ben-David et al. 2007. The error is balanced and cross-validated over `people` (n + m,); by chance it may exceed
    one half, and the distance then is a little below 0. NaN where a side has fewer than two people."""
    sides = np.repeat([0, 1], [len(first), len(second)])
    folds = min(5, *(len(np.unique(people[sides == side])) for side in (0, 1)))
    if folds < 2:
        return np.nan
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000))
    splits = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    said = cross_val_predict(classifier, np.concatenate([first, second]), sides, groups=people, cv=splits)
    return float(2 * (2 * balanced_accuracy_score(sides, said) - 1))


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    """Squared Fréchet distance of the Gaussians fitted to first (n, D) and second (m, D) (Dowson and Landau 1982)."""
    shift = first.mean(axis=0) - second.mean(axis=0)
    a, b = (np.atleast_2d(np.cov(values, rowvar=False)) for values in (first, second))
    root = linalg.sqrtm(a + 1e-12 * np.eye(len(a))).real
    mixed = np.sqrt(np.clip(np.linalg.eigvalsh(root @ b @ root), 0, None)).sum()
    return float(shift @ shift + np.trace(a) + np.trace(b) - 2 * mixed)


def principal_axes(features: np.ndarray, n_axes: int) -> np.ndarray:
    """Features (N, D) on their first axes (N, n_axes), each of deviation 1."""
    return PCA(n_axes, whiten=True, svd_solver="full").fit_transform(features)


def compare_domains(features: Features, n_repeats: int = 20, n_permutations: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Source against each target, and halves of the source against each other: a row a comparison.

    Columns: first, second, images (a side), dimensions (of the Fréchet distance), the MEASURES, each with `null` (mean
    between halves of the source) and `limit` (their 95 % quantile), and p. Every measure is the mean over `n_repeats`
    draws of as many images from either side, so that the number of images favours nobody; p is of MMD² on all."""
    kinds = features.eyes.groupby("label", sort=False).domain.first()
    source = next(label for label, domain in kinds.items() if domain == "synthetic")
    targets = [label for label, domain in kinds.items() if domain == "real"]
    n_source = (features.eyes.label == source).sum()
    n = int(min(n_source // 2, *(len(features.of(label)[0]) for label in targets)))
    n_axes = int(np.clip(n // PER_AXIS, 1, AXES))
    axes = principal_axes(features.values, n_axes)
    drawn: dict[str, list[dict]] = {name: [] for name in [source, *targets]}
    for repeat in loops.bar(range(n_repeats), desc="draws", leave=False):
        rng = np.random.default_rng([seed, repeat])
        half, other = _halves(features.eyes, source, n, rng)
        for name in drawn:
            rows = other if name == source else _some(np.flatnonzero(features.eyes.label == name), n, rng)
            drawn[name].append(_measures(features, axes, half, rows))
    null = pd.DataFrame(drawn.pop(source))
    about = {"first": source, "images": n, "dimensions": n_axes}
    rows = [about | {"second": f"{source}, other half", **null.mean()}]
    for name, values in drawn.items():
        p = _p_value(features, source, name, n_permutations)
        rows.append(about | {"second": name, **pd.DataFrame(values).mean(), "p": p})
    limits = {f"{name} null": null[name].mean() for name in DISTANCES}
    limits |= {f"{name} limit": null[name].quantile(0.95) for name in DISTANCES}
    return pd.DataFrame(rows).assign(**limits)


def _measures(features: Features, axes: np.ndarray, first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    rows, people = np.concatenate([first, second]), features.eyes.subject.to_numpy()
    names = np.unique(people[second])
    kernel, order = people_kernel(features.values[rows], people[rows])
    split = np.isin(order, names)
    return {
        "mmd2": float(mmd2(kernel, split)) if 2 <= split.sum() <= len(split) - 2 else np.nan,
        "a_distance": proxy_a_distance(features.values[first], features.values[second], people[rows]),
        "frechet": frechet(axes[first], axes[second]),
    }


def _p_value(features: Features, source: str, target: str, n_permutations: int) -> float:
    (first, ours), (second, theirs) = features.of(source), features.of(target)
    kernel, names = people_kernel(np.concatenate([first, second]), np.concatenate([ours, theirs]))
    split = np.isin(names, theirs)
    if not 2 <= split.sum() <= len(split) - 2:
        return np.nan
    return permutation_p(kernel, split, n_permutations)


def _halves(eyes: pd.DataFrame, source: str, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the source in two halves without a person in both, n images of each at most."""
    mine = eyes.label == source
    people = rng.permutation(eyes.subject[mine].unique())
    first = eyes.subject.isin(people[: len(people) // 2])
    return _some(np.flatnonzero(mine & first), n, rng), _some(np.flatnonzero(mine & ~first), n, rng)


def _some(rows: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    return np.sort(rng.permutation(rows)[:n])
