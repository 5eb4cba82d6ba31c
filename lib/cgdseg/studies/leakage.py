"""What leakage is worth: the slides' protocol and the one that keeps people apart, side by side on the same data.

In: `scores` (evaluation.evaluate_runs) and `splits` of a config that trains the same datasets under both protocols.
Out: frames with a row a system and test set, F1 with 95 % intervals over people; differences are published - honest.
They are empty where no condition was trained under both."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from cgdseg.config import Config
from cgdseg.scoring.intervals import Sample, estimate, interval
from cgdseg.scoring.statistics import difference_p, images_of, mean_interval
from cgdseg.studies.phrasing import few_people, in_points

EXPOSURES = {  # of a run to a test image, from most to least
    "train": "trained on the image",
    "val": "trained on the person only",  # the image was validated on: it helped to choose the epoch, no more
    "": "trained on neither",
}
KEYS = ["system", "pair", "dataset"]
PAIRED = [*KEYS, "seed", "image_id", "subject", "honest", "published", "exposure", "person"]
SIDES = [f"{side} {what}" for side in ("honest", "published") for what in ("f1", "low", "high")]
REPORTED = [*KEYS, "images", "subjects", *SIDES, "honest images", "honest subjects", "inflation", "low", "high"]
MEASURED = ["images", "subjects", "honest f1", "published f1", "change", "low", "high"]
ON_SAME_IMAGES = [*KEYS, *MEASURED, "p", "effect", "images trained on", "subjects trained on"]
EXPOSED = [*KEYS, "exposure", *MEASURED, "image itself", "image itself low", "image itself high"]


def twins(cfg: Config) -> list[tuple[str, str]]:
    """(honest, published): conditions that train on the files of the same datasets, split by `subject` and `published`.

    Conditions with other datasets, or with eyes rendered afresh, would differ by more than their protocol."""
    return [
        (honest, published)
        for published, names in cfg.conditions.items()
        for honest, others in cfg.conditions.items()
        if (cfg.protocol(honest), cfg.protocol(published)) == ("subject", "published")
        and set(names) == set(others)
        and not {honest, published} & set(cfg.training.stream)
    ]


def paired_scores(scores: pd.DataFrame, splits: pd.DataFrame, cfg: Config) -> pd.DataFrame:
    """One row a system, pair of conditions, seed and test image: what both runs score, and what the leaky one knew.

    DataFrame[system, pair, dataset, seed, image_id, subject, honest, published, exposure, person]: F1 (honest: NaN
    where the honest run is not tested on the image), one of EXPOSURES, whether the person was trained on."""
    test, tables = scores[scores.part == "test"], []
    keys = ["system", "seed", "image_id"]
    about = test.drop_duplicates("image_id").set_index("image_id")[["label", "subject"]]
    for honest, published in twins(cfg):
        means = {name: test[test.condition == name].groupby(keys, sort=False).f1.mean() for name in (honest, published)}
        if any(values.empty for values in means.values()):
            continue  # notebook 3 has not trained both
        table = means[published].rename("published").reset_index().join(means[honest].rename("honest"), on=keys)
        table = table[table.system.isin(means[honest].index.unique("system"))]
        table = table.join(about, on="image_id").rename(columns={"label": "dataset"})
        own = splits[(splits.protocol == "published") & (splits.condition == published) & (splits.part != "test")]
        table["exposure"] = table.image_id.map(own.set_index("image_id").part).fillna("").map(EXPOSURES)
        known = set(table.subject[table.exposure == EXPOSURES["train"]])
        tables.append(table.assign(pair=f"{published} / {honest}", person=table.subject.isin(known)))
    return pd.concat(tables, ignore_index=True)[PAIRED] if tables else pd.DataFrame(columns=PAIRED)


def reported(table: pd.DataFrame) -> pd.DataFrame:
    """What each protocol would report of its run, and the inflation between the two (`paired_scores` in).

    As published: the mean over all images; honest: over the people kept apart, who are among the others: the interval
    of the inflation knows them. Runs of one seed are held against each other."""
    return _by_set(table, _as_reported, REPORTED)


def _as_reported(group: pd.DataFrame) -> dict:
    kept = group[group.honest.notna()]
    found = {"images": images_of(group), "subjects": group.subject.nunique()}
    found |= {"honest images": images_of(kept), "honest subjects": kept.subject.nunique()}
    sides = {side: Sample(group[side], group.subject, trainings=group.seed) for side in ("honest", "published")}
    for side, sample in sides.items():
        found |= {f"{side} f1": group[side].mean()} | _ends(mean_interval(sample), f"{side} ")
    inflation = interval(sides["published"], sides["honest"], of=np.subtract)
    return found | {"inflation": group.published.mean() - group.honest.mean()} | _ends(inflation)


def same_images(table: pd.DataFrame) -> pd.DataFrame:
    """Both runs on the images that both are tested on: the difference, its interval, a permutation p and effect size,
    and how much of these images and people the published run trained on (`paired_scores` in).

    The difference holds what leaked, and also what a run gains by training on more people, in more steps."""
    return _by_set(table[table.honest.notna()], _on_the_same, ON_SAME_IMAGES)


def _on_the_same(group: pd.DataFrame) -> dict:
    change = group.published - group.honest
    people = change.groupby(group.subject).mean()
    moved = estimate(Sample(change, group.subject, trainings=group.seed))
    seen = group.exposure == EXPOSURES["train"]
    return {
        "images": images_of(group),
        "subjects": len(people),
        "honest f1": group.honest.mean(),
        "published f1": group.published.mean(),
        "change": change.mean(),
        **_ends(moved.interval()),
        "p": difference_p(moved, change.groupby(group.subject).sum().to_numpy(), group.seed.nunique()),
        "effect": people.mean() / people.std() if len(people) > 1 and people.std() else np.nan,
        "images trained on": seen.mean(),
        "subjects trained on": group[group.person].subject.nunique() / len(people),
    }


def by_exposure(table: pd.DataFrame) -> pd.DataFrame:
    """`same_images` apart for images that the published run trained on, those of which it knew the person only, and
    those of which it knew neither (a test set that nobody trains on).

    Person only: no image leaked, so the change is the person's and the larger training set's. Neither: nothing leaked,
    so the change is that of the larger training set alone. "image itself" is the change where the image was trained on
    minus the change where only its person was: a difference of differences, so that hard images weigh on neither."""
    kept = table[table.honest.notna()].assign(change=lambda t: t.published - t.honest)
    rows = []
    for key, group in kept.groupby(KEYS, sort=False):
        own = {name: group.change.where(group.exposure == name) for name in EXPOSURES.values()}
        samples = {name: Sample(change, group.subject, trainings=group.seed) for name, change in own.items()}
        image, person = EXPOSURES["train"], EXPOSURES["val"]
        for exposure, change in own.items():
            mine = group[change.notna()]
            if mine.empty:
                continue
            itself, ends = np.nan, (np.nan, np.nan)
            if exposure == image and own[person].notna().any():
                itself = own[image].mean() - own[person].mean()
                ends = interval(samples[image], samples[person], of=np.subtract)
            row = dict(zip(KEYS, key, strict=True)) | {"exposure": exposure}
            row |= {"images": images_of(mine), "subjects": mine.subject.nunique(), "honest f1": mine.honest.mean()}
            row |= {"published f1": mine.published.mean(), "change": change.mean(), "image itself": itself}
            rows.append(row | _ends(interval(samples[exposure])) | _ends(ends, "image itself "))
    return pd.DataFrame(rows, columns=EXPOSED)


def _by_set(table: pd.DataFrame, measure: Callable[[pd.DataFrame], dict], columns: list[str]) -> pd.DataFrame:
    """`measure` for each system, pair and dataset."""
    groups = table.groupby(KEYS, sort=False)
    return pd.DataFrame([dict(zip(KEYS, key, strict=True)) | measure(group) for key, group in groups], columns=columns)


def _ends(ends: tuple[float, float], prefix: str = "") -> dict[str, float]:
    return {f"{prefix}{name}": end for name, end in zip(("low", "high"), ends, strict=True)}


def leak_reported(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `reported`."""
    shown = table.rename(columns={"images": "published images", "subjects": "published subjects"})
    sides = [f"{side} {what}" for side in ("honest", "published") for what in ("f1", "low", "high", "images")]
    return _leak(shown, ["system", "dataset", *sides, "honest subjects", "inflation", "low", "high"])


def leak_same(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `same_images`; shares are in per cent."""
    shares = {f"% of {what} trained on": 100 * table[f"{what} trained on"] for what in ("images", "subjects")}
    columns = ["images", "subjects", "honest f1", "published f1", "change", "low", "high", "p", "effect", *shares]
    return _leak(table.assign(**shares), ["system", "dataset", *columns])


def leak_exposure(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `by_exposure`."""
    return _leak(table, [name for name in table.columns if name != "pair"])


def _leak(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Columns under readers' names; which conditions were compared stands in front where there are several pairs."""
    several = ["pair"] if table.pair.nunique() > 1 else []
    names = {name: name.replace("f1", "F1") for name in columns} | {"change": "change of F1", "effect": "effect size"}
    return table[[*several, *columns]].rename(columns=names).reset_index(drop=True)


def read_leakage(reported: pd.DataFrame, same: pd.DataFrame, exposure: pd.DataFrame) -> str:
    """`reported`, `same_images` and `by_exposure` in words."""
    if reported.empty:
        return "Nothing to compare: no condition of this config was trained under both protocols (splits.protocols)."
    clear = int((reported.low > 0).sum())
    sure = f"in {clear} the interval of the inflation lies above zero" if clear else "no interval excludes zero"
    lines = [_read_pair(row, same.loc[row.Index], exposure) for row in reported.itertuples()]
    return (
        f"As published, F1 is reported higher in {(reported.inflation > 0).sum()} of {len(reported)} cases; {sure}."
        f"{few_people(int(reported['honest subjects'].min()))}\n\n" + "\n".join(lines)
    )


def _read_pair(row, same: pd.Series, exposure: pd.DataFrame) -> str:
    """One system and test set: what is reported, what changes on the same images, and what that change may be."""
    p = f", p = {same.p:.2g}" if same.p == same.p else ""
    found = (
        f"- {row.system} on {row.dataset}: the inflation is {in_points(row.inflation, row.low, row.high)}. On the "
        f"{same.images:,} images that both are tested on it is {in_points(same.change, same.low, same.high)}{p}"
    )
    if not same["subjects trained on"]:
        return f"{found}; neither run trained on these people, so this is what more training data is worth."
    images, people = (100 * same[f"{what} trained on"] for what in ("images", "subjects"))
    mine = exposure[(exposure.system == row.system) & (exposure.pair == row.pair) & (exposure.dataset == row.dataset)]
    seen = [
        " Where it had seen the very image, the change exceeds that where it knew the person only by "
        f"{in_points(image['image itself'], image['image itself low'], image['image itself high'])}."
        for _, image in mine[mine["image itself low"].notna()].iterrows()
    ]
    known = f"{images:.0f} % of these images and {people:.0f} % of these people were in its training"
    return f"{found}; {known}.{''.join(seen)}"
