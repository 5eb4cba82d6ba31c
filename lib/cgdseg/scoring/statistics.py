"""Tables of scores, one row an image and run with a `subject` column -> means, differences between runs, spreads over
seeds; all intervals are those of `intervals`."""

import itertools

import numpy as np
import pandas as pd
from scipy import stats

from cgdseg.scoring.intervals import Estimate, Sample, estimate, interval

RUN = ["system", "condition"]  # what a run is, apart from its seed


def subject_means(scores: pd.DataFrame, by: list[str], score: str = "f1") -> pd.DataFrame:
    """Mean over images with its 95 % interval over subjects and, where a group has several, over seeds; a row a group.

    `scores` has one row an image and seed with a `subject` column; images without a score (NaN) are left out. Returns
    columns: by..., score, low, high, images, subjects; with fewer than two subjects there is no interval (NaN)."""
    rows = []
    for key, group in scores.groupby(by, sort=False):
        group = group[group[score].notna()]
        low, high = mean_interval(Sample(group[score], group.subject, trainings=group.get("seed")))
        found = {score: group[score].mean(), "low": low, "high": high}
        counts = {"images": images_of(group), "subjects": group.subject.nunique()}
        rows.append(dict(zip(by, key, strict=True)) | found | counts)
    return pd.DataFrame(rows, columns=[*by, score, "low", "high", "images", "subjects"])


def mean_interval(sample: Sample) -> tuple[float, float]:
    """`interval` of one mean; where all values lie between 0 and 1, so do its ends."""
    low, high = interval(sample)
    shares = pd.Series(sample.values).dropna().between(0, 1).all()
    return (max(low, 0), min(high, 1)) if shares else (low, high)


def images_of(scores: pd.DataFrame) -> int:
    """How many images a table of scores is about, each counted once whichever runs scored it."""
    return scores.image_id.nunique() if "image_id" in scores else len(scores)


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


def paired_difference(first: pd.DataFrame, second: pd.DataFrame, score: str = "f1", n_resamples: int = 9999) -> dict:
    """How much higher `second` scores than `first` on the images that both have: their mean difference.

    Each has a row an image and seed; seeds are averaged image by image. low, high: 95 % interval over subjects and
    seeds. p: two-sided; of one seed from flipping the sign of whole subjects, which is fair where the two could be
    exchanged (every flip is tried if there are at most n_resamples, so K subjects can show no p below 2 / 2^K), of
    several from Student's t as the interval is. d: Cohen's d of paired values, the subjects' mean differences over
    their standard deviation. Both are NaN below two subjects; d also where all subjects differ alike. Further: images,
    subjects, seeds (of the side with fewer)."""
    told = [table[table[score].notna()] for table in (second, first)]
    common = set(told[0].image_id) & set(told[1].image_id)
    sides = [table[table.image_id.isin(common)] for table in told]
    means = [table.groupby("image_id")[score].mean() for table in sides]
    subjects = sides[0].drop_duplicates("image_id").set_index("image_id").subject
    people = (means[0] - means[1]).groupby(subjects).agg(["sum", "mean"])
    samples = [Sample(table[score], table.subject, trainings=_seeds(table, side)) for side, table in enumerate(sides)]
    moved, spread = estimate(*samples, of=np.subtract), people["mean"].std()
    seeds = min(table.seed.nunique() if "seed" in table else 1 for table in sides)
    p = difference_p(moved, people["sum"].to_numpy(), seeds, n_resamples)
    found = dict(zip(("change", "low", "high", "p"), (moved.value, *moved.interval(), p), strict=True))
    found |= {"d": people["mean"].mean() / spread if spread > 1e-12 else np.nan}
    return found | {"images": len(means[0]), "subjects": len(people), "seeds": seeds}


def _seeds(scores: pd.DataFrame, side: int) -> pd.Series | None:
    """Seeds as trainings of one side's own: the same number starts two systems as differently as another one would."""
    return f"{side}: " + scores.seed.astype(str) if "seed" in scores else None


def difference_p(moved: Estimate, sums: np.ndarray, seeds: int, n_resamples: int = 9999) -> float:
    """Two-sided p of a difference: of one seed by flips of a sum a subject (K,), of several as its interval has it."""
    return sign_flip_p(sums, n_resamples) if seeds < 2 else float(moved.p())


def sign_flip_p(sums: np.ndarray, n_resamples: int = 9999) -> float:
    """Two-sided p of a total of paired differences (K,), a sum a subject, when any subject's sign might be the other.

    Every flip is tried if there are at most n_resamples; NaN for a single subject."""
    if len(sums) < 2:
        return np.nan

    def total(ours: np.ndarray, zeros: np.ndarray, axis: int) -> np.ndarray:
        """Exchanging a subject's sum with zero is flipping its sign."""
        return ours.sum(axis=axis) - zeros.sum(axis=axis)

    how = {"permutation_type": "samples", "n_resamples": n_resamples, "rng": np.random.default_rng(0)}
    return float(stats.permutation_test((sums, np.zeros_like(sums)), total, vectorized=True, **how).pvalue)


def compare_runs(scores: pd.DataFrame, by: str = "label", score: str = "f1") -> pd.DataFrame:
    """`paired_difference` for every two trainings that differ in one thing only, condition or system, in each `by`.

    p (Holm) holds p adjusted for all rows of the table (`holm`), so that the chance of any false finding among them
    stays below the level it is held against. Columns: by, first, second, then those of `paired_difference`; first is
    the one that the config names first. Conditions come before systems."""
    trainings = list(scores.groupby(RUN, sort=False))
    rows = []
    pairs = [(a, b) for a, b in itertools.combinations(trainings, 2) if sum(map(str.__ne__, a[0], b[0])) == 1]
    for (one, first), (other, second) in sorted(pairs, key=lambda pair: pair[0][0][0] != pair[1][0][0]):
        for name, mine in first.groupby(by, sort=False):
            theirs = second[second[by] == name]
            if mine.image_id.isin(theirs.image_id).any():
                words = {by: name, "first": "-".join(one), "second": "-".join(other)}
                rows.append(words | paired_difference(mine, theirs, score))
    columns = [by, "first", "second", "change", "low", "high", "p", "d", "images", "subjects", "seeds"]
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


def rank_correlation(scores: pd.DataFrame, factor: str, score: str = "f1") -> dict:
    """Spearman's rank correlation over images, with a 95 % interval from leaving out one subject at a time.

    On Fisher's scale, with Student's t. Keys: rho, low, high, images, subjects; NaN where either value is the same for
    all images."""
    values, people = scores[[factor, score]].to_numpy(float), scores.groupby("subject").indices
    rho, n = _spearman(values), len(people)
    low = high = np.nan
    if n > 1 and abs(rho) < 1:
        without = np.arctanh([_spearman(np.delete(values, rows, axis=0)) for rows in people.values()])
        error = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
        low, high = np.tanh(Estimate(np.arctanh(rho), error, np.array(n - 1)).interval())
    return {"rho": rho, "low": low, "high": high, "images": len(scores), "subjects": n}


def _spearman(values: np.ndarray) -> float:
    ranks = stats.rankdata(values, axis=0)
    if (np.ptp(ranks, axis=0) == 0).any():
        return np.nan
    return float(np.corrcoef(ranks.T)[0, 1])
