"""All runs in one table: what they score, how large they are, what they cost."""

import time
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from cgdseg.figures import claims
from cgdseg.figures import comparison as plots
from cgdseg.files import write_atomic
from cgdseg.models.registry import build_system
from cgdseg.studies import comparison
from cgdseg.studies.claims import ledger
from cgdseg.studies.scores import evaluation, summaries
from cgdseg.training import loop, runs

SETS = ["MASD stand-in", "SBVPI stand-in"]


@pytest.fixture
def compared(tiny_config):
    for run in tiny_config.runs():
        runs.write_run_card(tiny_config, run, loop.train(tiny_config, run))
    scores, references = (
        evaluate(tiny_config).scores for evaluate in (evaluation.evaluate_runs, evaluation.evaluate_references)
    )
    summary, others = (summaries.mean_scores(table) for table in (scores, references))
    return tiny_config, comparison.compare_trainings(summary, others, comparison.measure_costs(tiny_config, n_timed=2))


def test_a_row_a_run_and_test_set_with_its_cost(compared):
    cfg, table = compared
    rows = table.set_index("run")
    assert list(rows.index) == [run.name for run in cfg.runs()] + ["release", "threshold", "ellipse"]
    for run in cfg.runs():
        model, row = build_system(cfg.systems[run.system]), rows.loc[run.name]
        assert row.parameters == sum(p.numel() for p in model.parameters())
        assert row.trainable == sum(p.numel() for p in model.parameters() if p.requires_grad)
        history = loop.train(cfg, run)  # finished: it is only read
        assert row["training minutes"] == pytest.approx(history.seconds.sum() / 60)
        assert [row.steps, row["images seen"]] == [history.steps.sum(), history.images.sum()] and row.steps > 0
    assert np.isnan(rows.loc["release", "training minutes"]) and rows.loc["release", "parameters"] > 1e5
    assert rows.loc["ellipse", "parameters"] == 0
    assert (table["ms an image"] > 0).all() and table.f1.between(0, 1).all()


def test_minutes_of_a_deleted_history_are_unknown(compared):
    cfg, _ = compared
    run = cfg.runs()[0]
    (runs.run_folder(cfg, run) / "history.jsonl").unlink()
    costs = comparison.measure_costs(cfg, n_timed=1).loc[run.name]
    assert np.isnan(costs["training minutes"]) and costs.steps is pd.NA and costs.parameters > 0


def test_seeds_share_a_row_with_the_mean_of_their_lengths(tiny_config, monkeypatch):
    found = [run.model_copy(update={"seed": seed}) for run in tiny_config.runs()[:1] for seed in (1, 2)]
    monkeypatch.setattr(runs, "trained_runs", lambda cfg: found)
    for run, steps in zip(found, (10, 30), strict=True):
        write_atomic(
            runs.run_folder(tiny_config, run) / "history.jsonl", f'{{"steps": {steps}, "images": 8, "seconds": 60}}\n'
        )
    lengths = runs.lengths(tiny_config)
    assert lengths.steps.to_dict() == {"cgdseg-synthetic-1": 10, "cgdseg-synthetic-2": 30, "cgdseg-synthetic": 20}
    assert lengths["training minutes"].tolist() == [1, 1, 1]


def test_milliseconds_are_a_median():
    waits = iter([0.05, 0.001, 0.02, 0.001])  # the first does not count
    sleeper = SimpleNamespace(predict=lambda images, prompts: time.sleep(next(waits)))
    measured = comparison.median_milliseconds(sleeper, [np.zeros(1)] * 3)
    assert 0.9 < measured < 15


def drawn() -> pd.DataFrame:
    """Three runs of one system on two test sets, beside the release model."""
    rows = []
    for place, (run, f1) in enumerate([("a-one-1", 0.8), ("a-two-1", 0.9), ("a-three-1", 0.88), ("release", 0.95)]):
        for dataset in SETS:
            named = {"run": run, "system": "a", "condition": run.split("-")[-2] if "-" in run else run}
            scored = {"dataset": dataset, "f1": f1, "low": f1 - 0.03, "high": f1 + 0.03, "images": 8, "subjects": 4}
            cost = {"parameters": 1_500_000, "trainable": 1_500_000, "ms an image": 3.0 + place}
            known = run != "release"
            cost |= {"training minutes": 1.0 + place if known else np.nan, "seeds": int(known)}
            rows.append(named | scored | cost)
    return pd.DataFrame(rows)


def test_the_comparison_in_words_names_the_best_and_what_it_cannot_be_told_from():
    lines = comparison.read_comparison(drawn()).splitlines()
    assert len(lines) == 2 and "a-two-1 does best, with F1 0.900 (0.870 to 0.930)" in lines[0]
    assert "within its interval: a-three-1;" in lines[0] and "beside it release 0.950" in lines[0]
    costs = comparison.read_costs(drawn())
    assert "The longest training, a-three-1, took 3.0 minutes, the shortest, a-one-1, 1.0" in costs
    assert "unknown" in comparison.read_costs(drawn().assign(**{"training minutes": np.nan}))


def test_the_table_for_reading_keeps_trainable_only_where_it_differs():
    table = drawn()
    assert "trainable" not in comparison.trainings_for_reading(table)
    assert "trainable" in comparison.trainings_for_reading(table.assign(trainable=5))


def test_figures_have_a_panel_a_test_set_and_a_bar_a_slide():
    figure = plots.score_against_cost(drawn())
    assert [axis.get_title() for axis in figure.axes] == SETS
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["a, 1.5M parameters", "one", "two", "three"]
    slides = ["First slide", "A slide whose title is far too long to stand beside a bar"]
    grid = pd.DataFrame(1, index=slides, columns=list(ledger.VERDICTS))
    bars = claims.verdicts_by_slide(grid)
    assert len(bars.axes[0].patches) == grid.size
    assert bars.legends[0].get_texts()[0].get_text() == "reproduced (2)"
    plt.close("all")
