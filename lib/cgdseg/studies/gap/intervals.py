"""What is lost between the eyes a run was trained on and real ones: the slides' tables with intervals, and the eyes
that the closer looks of notebook 5 are about.

In: tables of scores (an image a row) and of `summaries.mean_scores`. Out: the same tables with low and high."""

import numpy as np
import pandas as pd

from cgdseg.config import Config, Run
from cgdseg.data.stored import load_manifest, load_splits, select_ids
from cgdseg.scoring.statistics import Sample, interval

FEW = 10  # a generated set in fewer groups has no people: each of its eyes counts for itself


def home_and_away(summary: pd.DataFrame, cfg: Config) -> pd.DataFrame:
    """Mean F1 by run on "validation" (synthetic eyes of the run's own kind) and on each test set.

    A mixed run also validates on real eyes; they are left out, because a gap is measured from one place."""
    at_home = (summary.part == "val") & summary.dataset.isin(_synthetic_labels(cfg))
    home = summary[at_home].drop_duplicates("run")
    return pd.concat([home.assign(dataset="validation"), summary[summary.part == "test"]], ignore_index=True)


def domain_gap(summary: pd.DataFrame, cfg: Config) -> pd.DataFrame:
    """The slides' table "Domain Gap Quantification": F1 at home minus F1 away, a row a run and test set."""
    table = home_and_away(summary, cfg)
    home = table[table.dataset == "validation"].set_index("run").f1
    away = table[table.dataset != "validation"]
    gaps = away[["run", "system", "condition", "dataset"]].assign(
        **{"validation f1": away.run.map(home), "test f1": away.f1, "gap": away.run.map(home) - away.f1},
        **away[["images", "subjects"]],
    )
    return gaps.reset_index(drop=True)


def gap_closed(gaps: pd.DataFrame, baseline: str = "synthetic") -> pd.DataFrame:
    """Each condition against the synthetic one: change in test F1, and the share of the baseline's gap that it is.

    "share won back" is change / baseline gap. "share closed" is the slides' 1 - gap / baseline gap, each gap from the
    run's own validation: it flatters a run whose validation eyes are harder, and compares only like with like."""
    keys, values = ["system", "dataset"], ["test f1", "gap"]
    before = gaps[gaps.condition == baseline].groupby(keys)[values].mean().add_suffix(f" {baseline}")
    others = gaps[gaps.condition != baseline].groupby(["system", "condition", "dataset"], sort=False)
    after = others[values].mean().join(others[["images", "subjects"]].first())
    joined = after.reset_index().join(before, on=keys, how="inner")
    joined["change"] = joined["test f1"] - joined[f"test f1 {baseline}"]
    joined["share won back"] = joined["change"] / joined[f"gap {baseline}"]
    joined["share closed"] = 1 - joined["gap"] / joined[f"gap {baseline}"]
    return joined


def gap_run(cfg: Config) -> Run:
    """The run whose gap is taken apart: `gap.system`, `gap.condition` and the config's first seed.

    Raises ValueError that lists the config's runs when it has no such run."""
    return cfg.run(cfg.gap.system or next(iter(cfg.systems)), cfg.gap.condition, cfg.seeds[0])


def draw_eyes(cfg: Config, source_parts: tuple[str, ...] = ("val",), seed: int = 0) -> pd.DataFrame:
    """Images of the source (synthetic eyes of `gap.condition`, in these parts) and of every test set.

    At most `gap.images` of each dataset, drawn at random. Columns: image_id, dataset, label, domain, subject, part."""
    splits, condition = load_splits(cfg), cfg.gap.condition
    parts = {i: part for part in ("test", *source_parts) for i in select_ids(splits, cfg, condition, part)}
    people = load_manifest(cfg)[["image_id", "dataset", "domain", "subject"]]
    eyes = people[people.image_id.isin(parts)].assign(part=people.image_id.map(parts))
    source = (eyes.domain == "synthetic") & eyes.part.isin(source_parts)
    tested = (eyes.domain == "real") & (eyes.part == "test")
    drawn = [
        group.sample(min(len(group), cfg.gap.images), random_state=seed).sort_values("image_id")
        for _, group in eyes[source | tested].groupby("dataset", sort=False)
    ]
    chosen = pd.concat(drawn).sort_values(["domain", "dataset"], ascending=[False, True], ignore_index=True)
    return chosen.assign(label=chosen.dataset.map(cfg.label), subject=units(chosen, cfg))


def units(rows: pd.DataFrame, cfg: Config) -> pd.Series:
    """Whom to resample, for each row: its subject; the image itself where generated eyes stand in few groups."""
    counts = rows.groupby("dataset").subject.transform("nunique")
    generated = rows.dataset.map(lambda name: cfg.datasets[name].domain) == "synthetic"
    return rows.subject.where(~(generated & (counts < FEW)), rows.image_id)


def gap_intervals(gaps: pd.DataFrame, scores: pd.DataFrame, cfg: Config) -> pd.DataFrame:
    """`domain_gap` with low and high of the gap: people at home and away are resampled, each apart."""
    samples = {run: _samples(rows, cfg) for run, rows in scores.groupby("run", sort=False)}
    found = []
    for row in gaps.itertuples():
        home, away = samples[row.run]
        found.append(interval(home, away[row.dataset], of=np.subtract, n_resamples=cfg.gap.resamples))
    return gaps.join(pd.DataFrame(found, index=gaps.index, columns=["low", "high"]))


def closed_intervals(closed: pd.DataFrame, scores: pd.DataFrame, cfg: Config) -> pd.DataFrame:
    """`gap_closed` with intervals of the change (change low, change high) and of the share won back.

    The share is a ratio: where the interval of the baseline's gap holds zero or less, there may be no gap to win back,
    the ratio could be anything, and `share won back` with its low and high is NaN."""
    samples = {key: _samples(rows, cfg) for key, rows in scores.groupby(["system", "condition"], sort=False)}
    found, n = [], cfg.gap.resamples
    for row in closed.itertuples():
        (home, before), after = samples[row.system, cfg.gap.condition], samples[row.system, row.condition][1]
        before, after = before[row.dataset], after[row.dataset]  # the same people, so they are drawn together
        share = np.nan, np.nan
        if interval(home, before, of=np.subtract, n_resamples=n)[0] > 0:
            share = interval(home, before, after, of=lambda home, old, new: (new - old) / (home - old), n_resamples=n)
        found.append([*interval(after, before, of=np.subtract, n_resamples=n), *share])
    names = ["change low", "change high", "share low", "share high"]
    table = closed.join(pd.DataFrame(found, index=closed.index, columns=names))
    return table.assign(**{"share won back": table["share won back"].where(table["share low"].notna())})


def _samples(scores: pd.DataFrame, cfg: Config) -> tuple[Sample, dict[str, Sample]]:
    """F1 at home, on the first synthetic validation set, and on each test set by its label."""
    scores = scores.assign(unit=units(scores, cfg))
    home = scores[(scores.part == "val") & scores.label.isin(_synthetic_labels(cfg))]
    home = home[home.label == home.label.iloc[0]]
    away = scores[scores.part == "test"].groupby("label", sort=False)
    return Sample(home.f1, home.unit), {label: Sample(rows.f1, rows.unit) for label, rows in away}


def _synthetic_labels(cfg: Config) -> set[str]:
    return {cfg.label(name) for name, dataset in cfg.datasets.items() if dataset.domain == "synthetic"}
