"""What is lost between the eyes a training used and real ones: the slides' tables with intervals, and the eyes that the
closer looks of notebook 5 are about.

In: tables of scores, an image and seed a row (`summaries.over_seeds`). Out: a row a training and test set."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from cgdseg.config import Config, Run
from cgdseg.data.stored import load_manifest, load_splits, select_ids
from cgdseg.scoring.intervals import Sample, estimate, interval
from cgdseg.scoring.statistics import images_of

FEW = 10  # a generated set in fewer groups has no people: each of its eyes counts for itself


def home_and_away(summary: pd.DataFrame, cfg: Config) -> pd.DataFrame:
    """Mean F1 by run on "validation" (synthetic eyes of the run's own kind) and on each test set.

    A mixed run also validates on real eyes; they are left out, because a gap is measured from one place."""
    at_home = (summary.part == "val") & summary.dataset.isin(_synthetic_labels(cfg))
    home = summary[at_home].drop_duplicates("run")
    return pd.concat([home.assign(dataset="validation"), summary[summary.part == "test"]], ignore_index=True)


def domain_gap(scores: pd.DataFrame, cfg: Config) -> pd.DataFrame:
    """The slides' table "Domain Gap Quantification": F1 at home minus F1 away, with its interval over people and seeds.

    Columns: run, system, condition, dataset, validation f1, test f1, gap, low, high, images, subjects."""
    rows = []
    for key, own in scores.groupby(["run", "system", "condition"], sort=False):
        home = _at_home(own, cfg)
        for label, away in own[own.part == "test"].groupby("label", sort=False):
            low, high = interval(_sample(home, cfg), _sample(away, cfg), of=np.subtract)
            row = dict(zip(["run", "system", "condition"], key, strict=True)) | {"dataset": label}
            row |= {"validation f1": home.f1.mean(), "test f1": away.f1.mean(), "gap": home.f1.mean() - away.f1.mean()}
            rows.append(row | {"low": low, "high": high, **_counts(away)})
    return pd.DataFrame(rows)


def gap_closed(scores: pd.DataFrame, cfg: Config) -> pd.DataFrame:
    """Each condition against `gap.condition` on the images that both are tested on: change in F1 (change low, high),
    and the share of the baseline's gap that it is.

    "share won back" is change / baseline gap (share low, share high): where the interval of that gap holds zero or
    less, there may be no gap to win back, the ratio could be anything, and it is NaN. "share closed" is the slides'
    1 - gap / baseline gap, each gap from the training's own validation: it flatters one whose validation eyes are
    harder."""
    baseline, rows = cfg.gap.condition, []
    for system, condition, label, before, after in _pairs(scores, baseline):
        home = {
            name: _at_home(scores[(scores.system == system) & (scores.condition == name)], cfg)
            for name in (baseline, condition)
        }
        samples = _sample(home[baseline], cfg, "before"), _sample(before, cfg, "before"), _sample(after, cfg, "after")
        old, new = before.f1.mean(), after.f1.mean()
        gap, own_gap = home[baseline].f1.mean() - old, home[condition].f1.mean() - new
        row = {"system": system, "condition": condition, "dataset": label}
        row |= {f"test f1 {baseline}": old, "test f1": new, "change": new - old, f"gap {baseline}": gap}
        row |= dict(zip(("change low", "change high"), interval(*samples[:0:-1], of=np.subtract), strict=True))
        row |= dict.fromkeys(("share won back", "share low", "share high"), np.nan)
        if interval(*samples[:2], of=np.subtract)[0] > 0:
            won = estimate(*samples, of=lambda home, old, new: (new - old) / (home - old))
            row |= dict(zip(("share won back", "share low", "share high"), (won.value, *won.interval()), strict=True))
        rows.append(row | {"share closed": 1 - own_gap / gap, **_counts(after)})
    return pd.DataFrame(rows)


def _pairs(scores: pd.DataFrame, baseline: str) -> Iterator[tuple]:
    """(system, condition, label, rows of the baseline, rows of the condition) on the test images that both have."""
    test = scores[scores.part == "test"]
    for (system, condition, label), after in test.groupby(["system", "condition", "label"], sort=False):
        before = test[(test.system == system) & (test.condition == baseline) & (test.label == label)]
        shared = set(before.image_id) & set(after.image_id)
        if condition != baseline and shared:
            yield system, condition, label, *(rows[rows.image_id.isin(shared)] for rows in (before, after))


def _at_home(scores: pd.DataFrame, cfg: Config) -> pd.DataFrame:
    """Rows of the first synthetic validation set."""
    home = scores[(scores.part == "val") & scores.label.isin(_synthetic_labels(cfg))]
    return home[home.label == home.label.iloc[0]]


def _sample(rows: pd.DataFrame, cfg: Config, training: str = "") -> Sample:
    return Sample(rows.f1, units(rows, cfg), trainings=training + rows.seed.astype(str))


def _counts(rows: pd.DataFrame) -> dict[str, int]:
    return {"images": images_of(rows), "subjects": rows.subject.nunique()}


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
    """Who each row is of: its subject; the image itself where generated eyes stand in few groups."""
    counts = rows.groupby("dataset").subject.transform("nunique")
    generated = rows.dataset.map(lambda name: cfg.datasets[name].domain) == "synthetic"
    return rows.subject.where(~(generated & (counts < FEW)), rows.image_id)


def _synthetic_labels(cfg: Config) -> set[str]:
    return {cfg.label(name) for name, dataset in cfg.datasets.items() if dataset.domain == "synthetic"}
