"""Tables of notebook 4, all about test images: tables of scores (`evaluation.Tables`) or summaries of them
(`summaries.mean_scores`) in, frames to read out."""

import numpy as np
import pandas as pd

from cgdseg.scoring.calibration import FOREGROUND, calibration_error, precision_recall_of, reliability_of
from cgdseg.scoring.intervals import Sample, estimate
from cgdseg.scoring.metrics import SCORES
from cgdseg.scoring.statistics import (
    compare_runs,
    holm,
    images_of,
    mean_interval,
    rank_correlation,
    seed_spread,
    several_means,
    subject_means,
)
from cgdseg.scoring.tally import levels_of

BY = ["run", "dataset"]
ALL_SETS = "all test sets"
GAZE_NAMES = {"l": "left", "s": "straight", "r": "right", "u": "up"}
FEWEST_IMAGES = 3  # images of a person: resampling two says nothing
IMAGE_FACTORS = {"sclera": "share of sclera", "brightness": "brightness", "blur": "sharpness"}  # "blur" falls with blur
SCORE_NAMES = {
    "f1": "F1",
    "pooled f1": "pooled F1",
    "iou": "IoU",
    "mae": "MAE",
    "validation f1": "validation F1",
    "test f1": "test F1",
}
PROTOCOL_COLUMNS = {  # (protocol, output, score) -> what a reader calls it
    ("ssbc2025", "Binary", "F1"): "F1, 2025",
    ("ssbc2025", "Binary", "IoU"): "IoU, 2025",
    ("ssbc2025", "Probabilistic", "F1"): "best F1, 2025",
    ("ssbc2020", "Binary", "F1"): "F1, 2020",
    ("ssbc2020", "Probabilistic", "F1"): "best F1, 2020",
    ("ssbc2020", "Probabilistic", "AUC"): "AUC, 2020",
    ("pooled", "Binary", "F1"): "F1, pooled",
    ("pooled", "Probabilistic", "F1"): "best F1, pooled",
}


def cross_domain(summary: pd.DataFrame, lengths: pd.DataFrame | None = None) -> pd.DataFrame:
    """The test rows of `summaries.mean_scores`: F1 with its interval, how long was trained (`runs.lengths`), then F1's
    company."""
    told = []
    if lengths is not None:
        told = ["steps", "images seen"]
        summary = summary.join(lengths[told], on="run")
    columns = ["run", "dataset", "f1", "low", "high", "images", "subjects", *(["seeds"] if summary.seeds.any() else [])]
    return for_reading(summary[summary.part == "test"], [*columns, *told, "pooled f1", *SCORES[1:]])


def side_by_side(summary: pd.DataFrame) -> pd.DataFrame:
    """Test F1 of `summaries.mean_scores`: a row a run, test sets side by side with intervals, and their mean."""
    test = summary[summary.part == "test"]
    runs, sets = test.run.unique(), test.dataset.unique()
    grids = {name: test.pivot(index="run", columns="dataset", values=name).loc[runs] for name in ("f1", "low", "high")}
    table = pd.DataFrame({f"{s} {name}".removesuffix(" f1"): grids[name][s] for s in sets for name in grids})
    if len(sets) > 1:
        table["mean"] = grids["f1"].mean(axis=1)
    return table.reset_index()


def borders(scores: pd.DataFrame) -> pd.DataFrame:
    """Boundary F within 1 and 2 pixels and the 95 % Hausdorff distance, with intervals; a row a run and dataset."""
    names = {"boundary_f_1px": "BF 1", "boundary_f_2px": "BF 2", "hd95": "HD95"}
    table = several_means(of_test(scores), BY, names)
    return table.rename(columns={"unscored": "both empty"})


def calibration(scores: pd.DataFrame, levels: pd.DataFrame) -> pd.DataFrame:
    """Brier score and calibration error, over all pixels and in the foreground, and predictions without any sclera.

    "fg" is the foreground. Means over images; its error with an interval, and once more for all pixels of a dataset
    together. "said - found" is the mean probability of that foreground less the share of sclera in it: above zero,
    too bold."""
    test = of_test(scores)
    images = several_means(test, BY, {"ece_foreground": "ECE fg"}).set_index(BY)
    means = test.groupby(BY)[["brier", "brier_foreground", "ece", "empty"]].mean()
    bins = reliability(levels)
    bins = bins[bins.low >= FOREGROUND - 1e-9]
    bins = bins.assign(over=(bins.said - bins.found) * bins.pixels).groupby(BY)
    together = bins[["over", "pixels"]].sum()
    columns = {
        "Brier": means.brier,
        "Brier fg": means.brier_foreground,
        "ECE": means.ece,
        **images[["ECE fg", "ECE fg low", "ECE fg high"]],
        "pooled": bins.apply(calibration_error, include_groups=False),
        "said - found": together.over / together.pixels,
        "empty %": 100 * means["empty"],
        "images": images.images,
    }
    return pd.DataFrame(columns).loc[images.index].reset_index()


def reliability(levels: pd.DataFrame) -> pd.DataFrame:
    """`calibration.reliability_of` of every run on every test set: run, dataset, low, high, pixels, said, found."""
    return _each(levels, reliability_of)


def curves(levels: pd.DataFrame) -> pd.DataFrame:
    """Precision and recall of every run on every test set: run, dataset, threshold, precision, recall."""
    return _each(levels, precision_recall_of)


def _each(levels: pd.DataFrame, view) -> pd.DataFrame:
    groups = levels_of(levels[levels.part == "test"], BY)
    return pd.concat([view(counts).assign(**dict(zip(BY, key, strict=True))) for key, counts in groups])


def differences(scores: pd.DataFrame) -> pd.DataFrame:
    """`statistics.compare_runs` on every test set and, first, on all of them together; Holm within each of these.

    Together there are more people, so that more can be told; an image counts the same whichever set it is from."""
    test = of_test(scores)
    sets = dict(list(test.groupby("dataset", sort=False)))
    if len(sets) > 1:
        sets = {ALL_SETS: test.assign(dataset=ALL_SETS)} | sets
    return pd.concat([compare_runs(rows, by="dataset") for rows in sets.values()], ignore_index=True)


def calibration_differences(scores: pd.DataFrame) -> pd.DataFrame:
    """`statistics.compare_runs` of the foreground's calibration error, on all test images together, in points."""
    table = compare_runs(of_test(scores).assign(dataset=ALL_SETS), by="dataset", score="ece_foreground")
    ends = ["change", "low", "high"]
    return table.assign(**{name: 100 * table[name] for name in ends}).drop(columns="dataset")


def groups(scores: pd.DataFrame) -> pd.DataFrame:
    """F1 by gaze, device and skin tone, with intervals over people and seeds; a row a run, test set and group.

    Columns: run, dataset, by, group, f1, low, high, then the difference to all other images of the set with its
    interval, p and p (Holm) over the run's rows; images, subjects. Skin tone halves the people of a set by the median
    of their images (`manifest.skin_tone`). What a set does not tell, or all images share, has no rows."""
    rows = []
    for key, own in of_test(scores).groupby(BY, sort=False):
        for name, group in GROUPINGS.items():
            told = own.assign(group=group(own))
            told = told[told.group != ""]
            for value, mine in told.groupby("group", sort=True) if told.group.nunique() > 1 else []:
                rest = told[told.group != value]
                samples = [Sample(part.f1, part.subject, trainings=part.get("seed")) for part in (mine, rest)]
                moved = estimate(*samples, of=np.subtract)
                row = dict(zip(BY, key, strict=True)) | {"by": name, "group": value, "f1": mine.f1.mean()}
                row |= dict(zip(("low", "high"), mean_interval(samples[0]), strict=True))
                ends = moved.value, *moved.interval(), moved.p()
                row |= dict(zip(("difference", "difference low", "difference high", "p"), ends, strict=True))
                rows.append(row | {"images": images_of(mine), "subjects": mine.subject.nunique()})
    columns = [*BY, "by", "group", "f1", "low", "high", "difference", "difference low", "difference high", "p"]
    table = pd.DataFrame(rows, columns=[*columns, "images", "subjects"])
    adjusted = table.groupby("run", sort=False).p.transform(lambda p: holm(p.to_numpy(float)))
    table.insert(len(columns), "p (Holm)", adjusted)
    return table


def _tones(scores: pd.DataFrame) -> pd.Series:
    people = pd.to_numeric(scores.tone).groupby(scores.subject).median()
    return scores.subject.map((people < people.median()).map({True: "darker half", False: "lighter half"}))


GROUPINGS = {  # what images are grouped by -> the group of each row of a test set, "" where it is not told
    "gaze": lambda scores: scores.gaze.map(GAZE_NAMES).fillna(""),
    "device": lambda scores: scores.device.fillna(""),
    "skin tone": _tones,
}


def seeds(scores: pd.DataFrame) -> pd.DataFrame:
    """Test F1 by seed: a row a training and dataset, with the seeds' mean, spread, least and most."""
    return seed_spread(of_test(scores), ["system", "condition", "dataset"]).rename(columns={"f1": "mean F1"})


def people(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean F1 of each person: run, dataset, person, f1, low, high, images.

    The interval is over the images of this person; one with fewer than FEWEST images has none."""
    test = of_test(scores)
    persons = test.assign(person=test.subject.str.split("[/:]").str[-1], subject=test.image_id)
    table = subject_means(persons, [*BY, "person"]).drop(columns="subjects")
    table.loc[table.images < FEWEST_IMAGES, ["low", "high"]] = np.nan
    return table


def associations(scores: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation of F1 with FACTORS, with 95 % intervals over people; a row a run, dataset and factor."""
    rows = [
        dict(zip(BY, key, strict=True)) | {"factor": name} | rank_correlation(group, factor)
        for key, group in of_test(scores).groupby(BY, sort=False)
        for factor, name in IMAGE_FACTORS.items()
    ]
    return pd.DataFrame(rows)


def protocols(table: pd.DataFrame) -> pd.DataFrame:
    """The same test predictions as each protocol scores them (`ssbc.Scorer.table` with a run), a row a run and set."""
    named = table.assign(column=list(zip(table.protocol, table.output, table.score, strict=True)))
    named = named[named.column.isin(PROTOCOL_COLUMNS)].assign(column=lambda rows: rows.column.map(PROTOCOL_COLUMNS))
    grid = named.pivot(index=["run", "dataset"], columns="column", values="mean")
    order = named[["run", "dataset"]].drop_duplicates().apply(tuple, axis=1)
    images = named.groupby(["run", "dataset"]).images.first()
    return grid.loc[list(order), list(PROTOCOL_COLUMNS.values())].join(images).reset_index().rename_axis(columns=None)


def of_test(table: pd.DataFrame) -> pd.DataFrame:
    """The test images of a table of scores, datasets under their labels, people told apart between datasets."""
    test = table[table.part == "test"]
    return test.assign(dataset=test.label, subject=test.dataset + "/" + test.subject)


def for_reading(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Some columns of a table under the names that readers expect, rows counted anew."""
    return table[columns].rename(columns=SCORE_NAMES).reset_index(drop=True)
