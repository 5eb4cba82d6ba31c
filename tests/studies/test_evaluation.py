"""From trained runs to tables: counts, intervals, gaps."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from cgdseg import paths
from cgdseg.figures import curves, factors
from cgdseg.figures import measured as draw_measured
from cgdseg.figures import scores as plots
from cgdseg.scoring.metrics import pooled_scores
from cgdseg.scoring.statistics import subject_means
from cgdseg.studies.anatomy import measured
from cgdseg.studies.scores import cases as scores_cases
from cgdseg.studies.scores import evaluation, summaries, tables
from cgdseg.training import loop, runs


@pytest.fixture
def evaluated(tiny_config):
    for run in tiny_config.runs():
        history = loop.train(tiny_config, run)
        runs.write_run_card(tiny_config, run, history)
    found = evaluation.evaluate_runs(tiny_config)
    return tiny_config, found.scores, found.sweep


def test_every_image_is_scored_once_a_run(evaluated):
    cfg, scores, sweep = evaluated
    assert not scores.duplicated(["run", "image_id"]).any()
    assert set(scores.run) == {run.name for run in cfg.runs()}
    assert set(scores[scores.part == "test"].dataset) == {"Photos"}
    at_half = sweep[np.isclose(sweep.threshold, cfg.evaluation.threshold)].set_index(["run", "part", "dataset"]).f1
    means = scores.groupby(["run", "part", "label"]).f1.mean()
    assert np.allclose(at_half, means.reindex(at_half.index))


def test_the_summary_agrees_with_its_rows(evaluated):
    _, scores, _ = evaluated
    summary = summaries.mean_scores(scores)
    for row in summary.itertuples():
        mine = scores[(scores.run == row.run) & (scores.part == row.part) & (scores.label == row.dataset)]
        assert row.f1 == pytest.approx(mine.f1.mean()) and row.images == len(mine)
        pooled = summary.loc[row.Index, "pooled f1"]
        assert pooled == pytest.approx(pooled_scores(mine[["tp", "fp", "fn", "error", "pixels"]]).f1)
    assert len(tables.cross_domain(summary)) == (summary.part == "test").sum()


def test_no_trained_run_names_its_maker(tiny_config):
    with pytest.raises(FileNotFoundError, match="03_training"):
        runs.trained_runs(tiny_config)


def test_cases_are_the_best_the_median_and_the_worst(evaluated):
    cfg, scores, _ = evaluated
    run = cfg.runs()[0]
    mine = scores[(scores.run == run.name) & (scores.part == "test")]
    cases = scores_cases.extremes(mine)
    assert cases.f1.tolist() == [
        mine.f1.max(),
        mine.f1.sort_values(ascending=False).iloc[len(mine) // 2],
        mine.f1.min(),
    ]
    shown = scores_cases.predict_cases(cfg, run, cases)
    assert [case.image.shape for case in shown] == [(36, 48, 3)] * 3
    assert [case.predicted.sum() for case in shown] == (cases.tp + cases.fp).tolist()
    plt.close(plots.case_gallery(shown))


def test_every_table_figure_and_reading_copes_with_two_runs_one_set_and_no_gaze(evaluated):
    cfg, scores, sweep = evaluated
    references = evaluation.evaluate_references(cfg)
    everyone, best = pd.concat([scores, references.scores], ignore_index=True), "unet-synthetic-42"
    test, persons = scores[scores.part == "test"], tables.people(scores)
    assert len(tables.borders(everyone)) == len(tables.calibration(everyone, references.levels)) == 5
    assert persons.groupby("run").images.sum().eq(12).all()
    pairs = tables.differences(scores)
    assert pairs.dataset.tolist() == ["Photos"] and pairs.second.tolist() == ["unet-synthetic"]
    change = test.groupby("system").f1.mean().diff().iloc[-1]
    assert pairs.change[0] == pytest.approx(change)
    for figure in (
        factors.differences(pairs),
        factors.people(persons, best),
        factors.factors(test, best),
        curves.reliability(tables.reliability(references.levels)),
        curves.precision_recall(tables.curves(references.levels), 0.5),
        curves.threshold_sweep(sweep[sweep.part == "test"], 0.5),
    ):
        assert any(axis.has_data() for axis in figure.axes)
        plt.close(figure)


@pytest.mark.parametrize("span", [(610, 790), (22, 380), (0.5, 9000)])
def test_labels_of_sharpness_do_not_meet(evaluated, span):
    test = evaluated[1][evaluated[1].part == "test"]
    figure = factors.factors(test.assign(blur=np.geomspace(*span, len(test))), "unet-synthetic-42")
    figure.canvas.draw()
    labels = figure.axes[-1].get_xticklabels(which="both")
    boxes = sorted((box.x0, box.x1) for box in (label.get_window_extent() for label in labels if label.get_text()))
    assert len(boxes) == 4 and all(end < start for (_, end), (start, _) in zip(boxes, boxes[1:], strict=False))
    plt.close(figure)


def summary_of(rows) -> pd.DataFrame:
    columns = ["run", "system", "condition", "part", "dataset", "f1", "images"]
    return pd.DataFrame(rows, columns=columns).assign(low=0.0, high=1.0, subjects=5)


def test_a_run_that_knows_the_test_people_is_not_the_best(tiny_config, monkeypatch):
    monkeypatch.setattr(summaries, "trained_runs", lambda cfg: cfg.runs())
    conditions = {"synthetic": ("Drawn",), "leaky": ("Drawn",)}
    cfg = tiny_config.model_copy(
        update={
            "conditions": conditions,
            "splits": tiny_config.splits.model_copy(update={"protocols": {"leaky": "published"}}),
        }
    )
    rows = [(run.name, run.system, run.condition, "test", "Photos", 0.5, 10) for run in cfg.runs()]
    summary = summary_of(rows).assign(f1=[0.5, 0.9, 0.6, 0.8])
    assert summaries.best_run(cfg, summary).name == "unet-synthetic-42"
    assert summaries.best_run(cfg, summary[summary.condition == "leaky"]).name == "cgdseg-leaky-42"


def test_seeds_are_one_training(evaluated):
    """Scores of one seed twice over, once a little better: means, sweeps and levels are those of both."""
    _, scores, sweep = evaluated
    other = scores.assign(seed=43, run=scores.run + "b", f1=scores.f1 - 0.1)
    both = pd.concat([scores, other], ignore_index=True)
    level = pd.DataFrame({"run": both.run.unique(), "part": "test", "level": 1, "pixels": 5})
    sweeps = pd.concat([sweep, sweep.assign(run=sweep.run + "b", f1=sweep.f1 - 0.1)], ignore_index=True)
    protocols = level.assign(mean=1.0, std=0.0)
    found = evaluation.Tables(both, sweeps, level, protocols).over_seeds()
    assert set(found.scores.run) == set(found.sweep.run) == {"unet-synthetic", "cgdseg-synthetic"}
    summary = summaries.mean_scores(found.scores)
    alone = summaries.mean_scores(scores)
    assert summary.f1.to_numpy() == pytest.approx(alone.f1.to_numpy() - 0.05)
    assert summary.seeds.eq(2).all() and summary.images.tolist() == alone.images.tolist()
    wider = (summary.high - summary.low) > (alone.high - alone.low)
    assert wider[summary.f1.between(0.3, 0.7)].all()
    assert len(found.sweep) == len(sweep) and found.sweep.f1.mean() == pytest.approx(sweep.f1.mean() - 0.05)
    assert len(found.protocols) == 2 and len(found.levels) == 4


def test_intervals_are_over_people_and_seeds():
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(12), 20)
    scores = pd.DataFrame({"subject": people, "f1": 0.8 + 0.02 * rng.normal(size=12)[people], "run": "a", "seed": 1})
    own = subject_means(scores, ["run"]).iloc[0]
    images = subject_means(scores.assign(subject=range(len(scores))), ["run"]).iloc[0]
    assert own.high - own.low > 3 * (images.high - images.low)
    both = pd.concat([scores.assign(seed=seed, f1=scores.f1 + seed / 50) for seed in range(3)])
    seeds = subject_means(both, ["run"]).iloc[0]
    assert seeds.high - seeds.low > 2 * (own.high - own.low) and seeds.images == len(both)
    assert subject_means(scores[scores.subject == 0], ["run"])[["low", "high"]].isna().all(axis=None)


def test_the_run_card_is_small_and_the_same_each_time(evaluated):
    cfg, _, _ = evaluated
    run = cfg.runs()[0]
    card = paths.run_card(cfg.name, run.name)
    before = card.read_bytes()
    runs.write_run_card(cfg, run, loop.train(cfg, run))
    assert card.read_bytes() == before and len(before) < 1000


def test_references_are_scored_like_runs_and_differ(tiny_config):
    table = evaluation.evaluate_references(tiny_config).scores
    assert table.groupby("run").size().to_dict() == {"ellipse": 12, "release": 12, "threshold": 12}
    assert table.f1.between(0, 1).all() and table.groupby("run").f1.mean().nunique() == 3
    grid = tables.side_by_side(summaries.mean_scores(table)).set_index("run")["Photos"]
    assert grid.to_dict() == pytest.approx(table.groupby("run").f1.mean().to_dict())
    assert table[table.run == "threshold"].f1.mean() > 0.5  # the drawn eyes are white on skin


def study(change: float) -> pd.DataFrame:
    """A study of two seeds and five photographs in which `worse` moves every score by `change`."""
    keys = pd.MultiIndex.from_product([["base", "worse"], [1, 2], ["rendered", "photos"], list("abcde")])
    rows = keys.to_frame(index=False, name=["variant", "seed", "set", "image"])
    rows["f1"] = np.random.default_rng(0).random(10)[rows.groupby(["seed", "set", "image"]).ngroup() % 10]
    return rows.assign(f1=rows.f1 + change * (rows.variant == "worse"))


def test_a_study_is_read_as_changes_against_its_baseline():
    table = measured.transfer(study(-0.25), "base")
    assert table.variant.tolist() == ["base", "worse"] and table.seeds.tolist() == [2, 2]
    assert table.loc[1, ["change", "low", "high"]].tolist() == pytest.approx([-0.25] * 3)
    assert "worse: -25.0 points (-25.0 to -25.0)" in measured.read_transfer(table)
    plt.close(draw_measured.changes(table))
    without = measured.transfer(study(-0.25).query("set == 'rendered'"), "base")
    assert without.change[1] == pytest.approx(-0.25) and "photo-like F1" not in without
    assert "on 5 rendered eyes. Of 1 changes 1" in measured.read_transfer(without)
    nothing = measured.read_transfer(measured.transfer(study(0.0), "base"))
    assert "Of 1 changes 0 can be told from zero" in nothing and "generated and not photographed" in nothing


def test_many_changes_are_judged_together():
    """Eight variants without any effect: each by itself finds something often, Holm's adjustment rarely does."""
    rng, alone, together = np.random.default_rng(0), 0, 0
    for _ in range(60):
        keys = pd.MultiIndex.from_product([["base", *"abcdefgh"], [1, 2, 3], list("12345678")])
        rows = keys.to_frame(index=False, name=["variant", "seed", "image"]).assign(set="photos")
        spread = {name: rng.normal(0, 0.05, rows[name].nunique()) for name in ("seed", "image")}
        own = rows.groupby(["variant", "image"]).ngroup(), rows.groupby(["variant", "seed"]).ngroup()
        rows["f1"] = 0.8 + sum(spread[name][rows[name].factorize()[0]] for name in spread)
        rows["f1"] += sum(rng.normal(0, 0.03, codes.max() + 1)[codes] for codes in own)
        table = measured.transfer(rows, "base")
        alone, together = alone + (table.p < 0.05).any(), together + (table["p (Holm)"] < 0.05).any()
    assert together / 60 < 0.1 and alone > 2 * together


def test_language_is_read_against_random_text():
    for change, words in (
        (0.1, "language helps in worse"),
        (-0.1, "language harms in worse"),
        (0.0, "In none of the 1"),
    ):
        table = measured.transfer(study(change), {"worse": "base"})
        assert table.variant.tolist() == ["worse"] and words in measured.read_language(table)


def test_weights_that_notebook_3_did_not_see_are_not_scored(evaluated):
    cfg, _, _ = evaluated
    run = cfg.runs()[0]
    card = paths.run_card(cfg.name, run.name)
    card.write_text(card.read_text().replace('"weights_sha256": "', '"weights_sha256": "0'))
    with pytest.raises(ValueError, match="03_training"):
        runs.segmenter_of(cfg, run)
