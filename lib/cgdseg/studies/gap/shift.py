"""How far apart two sets of eyes lie in the features of a frozen encoder, and how far chance alone would put them.

features (N, D) float and the person on each image (N,) -> unbiased MMD² with a permutation p, proxy A-distance and
Fréchet distance. The images of one person resemble each other, and a generated set has one image of each person where
a real one has many: so every comparison, and what chance gives, is made of one image of everybody."""

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

AXES = 8  # principal axes at most that a Fréchet distance is taken in; it needs more images than axes
PER_AXIS = 4  # images an axis, at least
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


def rbf_kernel(features: np.ndarray) -> np.ndarray:
    """RBF kernel (N, N) of features (N, D); its bandwidth is their median distance (the median heuristic)."""
    distances = cdist(features, features, "sqeuclidean")
    apart = distances[~np.eye(len(features), dtype=bool)]
    return np.exp(-distances / (2 * max(np.median(apart), 1e-12)))


def mmd2(kernel: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Unbiased squared maximum mean discrepancy (Gretton et al. 2012, eq. 3): no image is paired with itself.

    kernel (N, N) of images of different people; target (N,) bool says which are of the target, (R, N) R times over
    -> () or (R,)."""
    inside = np.atleast_2d(target).astype(float)
    outside, off = 1 - inside, kernel - np.diag(np.diag(kernel))
    n, m = inside.sum(axis=1), outside.sum(axis=1)
    if (np.minimum(n, m) < 2).any():
        raise ValueError("MMD² needs two people on each side: give it more images")
    within = [((side @ off) * side).sum(axis=1) / (k * (k - 1)) for side, k in ((inside, n), (outside, m))]
    values = within[0] + within[1] - 2 * ((inside @ kernel) * outside).sum(axis=1) / (n * m)
    return values if np.ndim(target) == 2 else values[0]


def permutation_p(kernel: np.ndarray, target: np.ndarray, n_permutations: int = 1000, seed: int = 0) -> float:
    """Share of random relabellings with an MMD² at least as large, the one observed counted in.

    Fair for one image a person: means over many images of some would vary less, and could not be exchanged."""
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


def compare_domains(
    features: Features, n_draws: int = 20, n_null: int = 60, n_permutations: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Source against each target, and people of the source against its others: a row a comparison.

    Columns: first, second, people (of the second side), others (of the first), dimensions (of the Fréchet distance),
    the DISTANCES, each with `null` (mean within the source) and `limit` (95 % quantile there), and p (of MMD²). A draw
    has one image of each person, and as many people of every second side: neither people with many images nor sets
    with many people are favoured. Measures are means over `n_draws`, p is the median. Chance is `n_null` draws of as
    many people of the source against its others: single ones, which vary more than means do, so it is cautious."""
    kinds = features.eyes.groupby("label", sort=False).domain.first()
    source = next(label for label, domain in kinds.items() if domain == "synthetic")
    targets = [label for label, domain in kinds.items() if domain == "real"]
    counts = features.eyes.groupby("label").subject.nunique()
    n = int(min(counts[source] // 2, *counts[targets]))
    n_axes = int(np.clip(n // PER_AXIS, 1, AXES))
    drawn: dict[str, list[dict]] = {name: [] for name in [source, *targets]}
    for draw in loops.bar(range(max(n_draws, n_null)), desc="draws", leave=False):
        rng = np.random.default_rng([seed, draw])
        everybody = {name: _one_each(features.eyes, name, rng) for name in drawn}
        chosen, others = np.split(everybody[source], [n])
        for name in targets if draw < n_draws else []:
            rows = others, everybody[name][:n]
            p = _p_value(features, everybody[source], everybody[name], n_permutations, draw)
            drawn[name].append(_measures(features, *rows, n_axes) | {"p": p})
        if draw < n_null:
            drawn[source].append(_measures(features, others, chosen, n_axes))
    null = pd.DataFrame(drawn.pop(source))
    about = {"first": source, "people": n, "others": int(counts[source]) - n, "dimensions": n_axes}
    rows = [about | {"second": f"{source}, others of it", **null.mean(), "p": np.nan}]
    for name, values in drawn.items():
        found = pd.DataFrame(values)
        rows.append(about | {"second": name, **found.mean(), "p": found.p.median()})
    limits = {f"{name} null": null[name].mean() for name in DISTANCES}
    limits |= {f"{name} limit": null[name].quantile(0.95) for name in DISTANCES}
    return pd.DataFrame(rows).assign(**limits)


def _one_each(eyes: pd.DataFrame, label: str, rng: np.random.Generator) -> np.ndarray:
    """Rows of one image of everybody in a dataset, both drawn at random."""
    rows = rng.permutation(np.flatnonzero(eyes.label == label))
    return rows[~eyes.subject.iloc[rows].duplicated().to_numpy()]


def _measures(features: Features, first: np.ndarray, second: np.ndarray, n_axes: int) -> dict[str, float]:
    """Between images of different people; kernel and axes are of these images alone, as for any other draw."""
    values = features.values[np.concatenate([first, second])]
    side = np.arange(len(values)) >= len(first)
    axes = principal_axes(values, n_axes)
    return {
        "mmd2": float(mmd2(rbf_kernel(values), side)) if len(second) > 1 else np.nan,
        "a_distance": proxy_a_distance(values[~side], values[side], np.arange(len(values))),
        "frechet": frechet(axes[~side], axes[side]) if len(second) > 1 else np.nan,
    }


def _p_value(features: Features, first: np.ndarray, second: np.ndarray, n_permutations: int, seed: int) -> float:
    rows = np.concatenate([first, second])
    side = np.arange(len(rows)) >= len(first)
    enough = min(len(first), len(second)) > 1
    return permutation_p(rbf_kernel(features.values[rows]), side, n_permutations, seed) if enough else np.nan
