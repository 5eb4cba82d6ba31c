"""Intervals of gaps and of shares of gaps, and whose eyes the closer looks are about."""

import numpy as np
import pandas as pd
import pytest

from cgdseg.scoring.metrics import SCORES
from cgdseg.studies.gap import intervals, words
from cgdseg.studies.gap import tables as gap_tables
from cgdseg.studies.scores import summaries


def scored(cfg, condition, home, away, seed=0, n=60) -> pd.DataFrame:
    """Scores of one run: n drawn eyes at home, and n photographs of n / 6 people."""
    rng = np.random.default_rng(seed)
    val = pd.DataFrame({"part": "val", "dataset": "Drawn", "subject": [f"d{i}" for i in range(n)]})
    test = pd.DataFrame({"part": "test", "dataset": "Photos", "subject": [f"p{i // 6}" for i in range(n)]})
    people = rng.normal(0, 0.05, n)[np.arange(n) // 6]
    rows = pd.concat([val.assign(f1=home), test.assign(f1=away + people)], ignore_index=True)
    rows["f1"] += rng.normal(0, 0.01, len(rows))
    names = {"run": f"unet-{condition}", "system": "unet", "condition": condition, "seed": 1}
    counts = dict.fromkeys(["tp", "fp", "fn", "error", "pixels", *SCORES[1:]], 1)
    return rows.assign(**names, **counts, label=rows.dataset, image_id=rows.dataset + "/" + rows.index.astype(str))


@pytest.fixture
def tables_of(tiny_config):
    def make(*runs):
        scores = pd.concat(runs, ignore_index=True)
        gaps = intervals.domain_gap(summaries.mean_scores(scores), tiny_config)
        return intervals.gap_intervals(gaps, scores, tiny_config), scores

    return make


def test_a_gap_has_an_interval_over_people(tiny_config, tables_of):
    gaps, scores = tables_of(scored(tiny_config, "synthetic", 0.9, 0.7))
    row = gaps.iloc[0]
    assert row.low < row.gap < row.high
    means = scores[scores.part == "test"].groupby("subject").f1.mean()
    assert row.high - row.low == pytest.approx(2 * 1.96 * means.std() / np.sqrt(len(means)), rel=0.35)
    assert "None of the intervals includes zero" in words.read_gaps(gaps)
    assert list(gap_tables.gaps(gaps).columns[-4:]) == ["low", "high", "images", "subjects"]


def test_a_share_is_paired_and_undefined_without_a_gap(tiny_config, tables_of):
    """The same people are scored before and after: their differences drop out of the change."""
    before = scored(tiny_config, "synthetic", 0.9, 0.7)
    gaps, scores = tables_of(before, before.assign(run="unet-mixed", condition="mixed", f1=before.f1 + 0.1))
    closed = intervals.closed_intervals(intervals.gap_closed(gaps), scores, tiny_config).iloc[0]
    assert closed["change low"] == pytest.approx(0.1) and closed["change high"] == pytest.approx(0.1)
    assert closed["share low"] < closed["share won back"] < closed["share high"]
    assert closed["share won back"] == pytest.approx(closed.change / closed["gap synthetic"])

    level = scored(tiny_config, "synthetic", 0.7, 0.7)
    gaps, scores = tables_of(level, level.assign(run="unet-mixed", condition="mixed", f1=level.f1 + 0.1))
    table = intervals.closed_intervals(intervals.gap_closed(gaps), scores, tiny_config)
    assert table[["share won back", "share low", "share high"]].isna().all(axis=None)
    assert "undefined" in words.read_closed(table) and table["change low"].notna().all()
    assert "may be no gap at all" in words.read_gaps(gaps)


def test_one_person_has_no_interval(tiny_config, tables_of):
    alone = scored(tiny_config, "synthetic", 0.9, 0.7).assign(subject=lambda s: s.subject.where(s.part == "val", "p0"))
    gaps, _ = tables_of(alone)
    assert gaps[["low", "high"]].isna().all(axis=None)


def test_generated_eyes_in_few_groups_count_for_themselves(tiny_config):
    rows = pd.DataFrame({"dataset": ["Drawn"] * 12 + ["Photos"] * 12, "image_id": [f"i{i}" for i in range(24)]})
    few = rows.assign(subject="one")
    assert intervals.units(few, tiny_config).tolist() == [*rows.image_id[:12], *["one"] * 12]
    many = rows.assign(subject=[f"s{i}" for i in range(24)])
    assert intervals.units(many, tiny_config).tolist() == many.subject.tolist()


def test_eyes_are_drawn_from_the_source_and_every_test_set(tiny_config):
    eyes = intervals.draw_eyes(tiny_config)
    assert eyes.groupby("domain").part.unique().map(list).to_dict() == {"real": ["test"], "synthetic": ["val"]}
    assert eyes.domain.iloc[0] == "synthetic" and not eyes.image_id.duplicated().any()
    more = intervals.draw_eyes(tiny_config, ("train", "val"))
    assert (more.domain == "synthetic").sum() == 12
    few = tiny_config.model_copy(update={"gap": tiny_config.gap.model_copy(update={"images": 3})})
    assert intervals.draw_eyes(few, ("train", "val")).groupby("dataset").size().tolist() == [3, 3]
    other = tiny_config.model_copy(update={"gap": tiny_config.gap.model_copy(update={"system": "unet"})})
    assert intervals.gap_run(tiny_config).system == "cgdseg" and intervals.gap_run(other).system == "unet"
