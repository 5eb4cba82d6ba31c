"""Tables of notebook 5: what the gap's measurements hold, under the names that readers expect."""

import pandas as pd

from cgdseg.studies.gap.ladder import MOVED
from cgdseg.studies.scores.tables import for_reading


def gaps(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `domains.domain_gap`."""
    columns = ["run", "dataset", "validation f1", "test f1", "gap", "low", "high", "images", "subjects"]
    return for_reading(table, columns)


def gaps_closed(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `domains.gap_closed`; shares are in per cent."""
    shares = {"share won back %": 100 * table["share won back"], "low %": 100 * table["share low"]}
    shares |= {"high %": 100 * table["share high"], "closed, slides' way %": 100 * table["share closed"]}
    before = next(name for name in table if name.startswith("test f1 "))
    columns = ["system", "condition", "dataset", before, "test f1", "change", "change low", "change high", *shares]
    shown = for_reading(table.assign(**shares), [*columns, "images", "subjects"])
    return shown.rename(columns={before: before.replace("f1 ", "F1, ")})


def distances(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `shift.compare_domains`; `by chance` is the 95 % quantile within the source."""
    names = {"mmd2": "MMD²", "a_distance": "A-distance", "frechet": "Fréchet"}
    sides = {"others": "people of first", "people": "people of second"}
    found = table[["first", "second", *sides]].rename(columns=sides)
    for name, title in names.items():
        found[title] = table[name]
        if name == "mmd2":
            found["p"] = table.p
        found[f"{title}, by chance"] = table[f"{name} limit"]
    return found


def gap_factors(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `attribution.points_of` with `dataset`: points and shares are hundredths."""
    numbers = {name: 100 * table[name] for name in ("points", "low", "high")}
    shares = {"share %": 100 * table["share"], "low %": 100 * table["share low"], "high %": 100 * table["share high"]}
    counts = table[["source images", "source people", "target images", "target people"]]
    return table[["dataset", "factor"]].assign(**numbers, **shares, **counts).reset_index(drop=True)


def truth(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `known.true_parts` in hundredths, and the rendered eyes that the truth is told from."""
    names = {"points": "true points", "low": "low", "high": "high"}
    names |= {name: name for name in ("estimated", "estimated low", "estimated high")}
    numbers = {title: 100 * table[name] for name, title in names.items()}
    return table[["dataset", "part"]].assign(**numbers, eyes=table.eyes, **{"target people": table["target people"]})


def remedies(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `remedies.remedy_changes`; seconds are spent once, `times as slow` with every image."""
    names = {"looks_at": "looks at", "seconds": "seconds once", "times": "times as slow"}
    numbers = ["f1", "change", "low", "high", "p (Holm)", "images", "subjects", "seconds", "times"]
    return for_reading(table, ["dataset", "remedy", "looks_at", *numbers]).rename(columns=names)


def real_people(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `ladder.summary`, a row a test set and number of people: F1 of the seeds' mean and of each seed."""
    keys = ["dataset", "people", "images", "seconds", "tested", "people tested"]
    grouped = table.groupby(keys, sort=False)
    seeds = table.pivot(index=keys, columns="seed", values="f1").add_prefix("F1, seed ")
    means = grouped.f1.mean().to_frame("F1").join(grouped[["low", "high", *MOVED[:-1], "p (Holm)"]].first())
    names = {"people": "people trained on", "images": "images trained on", "tested": "images tested"}
    return means.join(seeds).reset_index().rename(columns=names)
