"""What a run scores on a dataset as a whole, and which runs may be held against each other.

tables of scores, a row an image (`evaluation.Tables`) -> a row a run, part and dataset with intervals over people."""

import pandas as pd

from cgdseg.config import Config, Run
from cgdseg.scoring.metrics import PIXEL_COUNTS, SCORES, pooled_scores
from cgdseg.scoring.statistics import subject_means
from cgdseg.training.runs import trained_runs


def over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """A table of scores whose `run` names what its seeds have in common (`Run.training`): what is made of it then is
    about all seeds together."""
    training = table.system + "-" + table.condition
    return table.assign(run=table.run.where(table.seed.isna(), training) if "seed" in table else table.run)


def mean_scores(table: pd.DataFrame) -> pd.DataFrame:
    """The slides' table "Cross-Domain Test Results", a row a run and dataset, with intervals and the pooled F1.

    Of `over_seeds` a row a training, with the mean over its seeds."""
    by = ["run", "system", "condition", "part", "dataset"]
    named = table.assign(dataset=table.label)
    means = named.groupby(by, sort=False)[SCORES[1:]].mean()
    pooled = named.groupby(by, sort=False)[PIXEL_COUNTS].apply(pooled_scores)["f1"]
    seeds = named.assign(seed=named.get("seed")).groupby(by, sort=False).seed.nunique().rename("seeds")
    return subject_means(named, by).join(seeds, on=by).join(means, on=by).join(pooled.rename("pooled f1"), on=by)


def people_apart(cfg: Config, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of runs that were not trained on the people they are tested on; all where there is no such run."""
    fair = table[table.condition.map(cfg.protocol) == "subject"]
    return table if fair.empty else fair


def best_run(cfg: Config, summary: pd.DataFrame) -> Run:
    """The run with the highest F1, meaned over test sets, or the first of a training (`over_seeds`): good enough to
    choose a picture, not to report a score.

    One that trained on the people it is tested on is chosen only where there is no other."""
    means = people_apart(cfg, summary[summary.part == "test"]).groupby("run").f1.mean()
    return next(run for run in trained_runs(cfg) if means.idxmax() in (run.name, run.training))
