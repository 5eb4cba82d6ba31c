"""Intervals of gaps and of shares of gaps, and whose eyes the closer looks are about."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cgdseg.scoring.metrics import SCORES
from cgdseg.studies.gap import domains, words
from cgdseg.studies.gap import tables as gap_tables


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


def test_gaps_are_the_slides_arithmetic(tiny_config):
    """9.17 and 11.07 points, of which mixed training closes 80 % and 64 % (slide "Domain Gap Analysis")."""
    published = {"synthetic": (0.9771, 0.8795, 0.8664), "mixed": (0.9729, 0.9546, 0.9336)}
    keys = ["run", "system", "condition", "seed", "part", "dataset", "subject", "f1"]
    rows = [
        (condition, "cgdseg", condition, 1, "val" if name == "Drawn" else "test", name, person, f1)
        for condition, scores in published.items()
        for name, f1 in zip(("Drawn", "MASD", "SBVPI"), scores, strict=True)
        for person in "ab"
    ]
    scores = pd.DataFrame(rows, columns=keys).assign(
        label=lambda t: t.dataset, image_id=lambda t: t.dataset + t.subject
    )
    more = dict.fromkeys(("MASD", "SBVPI"), tiny_config.datasets["Photos"])
    cfg = tiny_config.model_copy(update={"datasets": tiny_config.datasets | more})
    found = domains.domain_gap(scores, cfg).set_index(["condition", "dataset"]).gap
    assert found["synthetic", "MASD"] == pytest.approx(0.0976)  # the slides print 0.0917: their subtraction is off
    assert found["synthetic", "SBVPI"] == pytest.approx(0.1107)
    assert found["mixed", "MASD"] == pytest.approx(0.0183) and found["mixed", "SBVPI"] == pytest.approx(0.0393)
    closed = domains.gap_closed(scores, cfg).set_index("dataset")
    assert closed.change["MASD"] == pytest.approx(0.0751) and closed.change["SBVPI"] == pytest.approx(0.0672)
    assert closed["share won back"]["MASD"] == pytest.approx(0.0751 / 0.0976)
    assert closed["share closed"]["SBVPI"] == pytest.approx(0.645, abs=0.001)
    assert closed["share closed"]["MASD"] == pytest.approx(0.8125, abs=0.001)


def test_a_gap_has_an_interval_over_people(tiny_config):
    scores = scored(tiny_config, "synthetic", 0.9, 0.7)
    gaps = domains.domain_gap(scores, tiny_config)
    row = gaps.iloc[0]
    assert row.low < row.gap < row.high
    means = scores[scores.part == "test"].groupby("subject").f1.mean()
    reach = stats.t.ppf(0.975, len(means) - 1) * stats.sem(means)
    assert row.high - row.low == pytest.approx(2 * reach, rel=0.1)
    assert "None of the intervals includes zero" in words.read_gaps(gaps)
    assert list(gap_tables.gaps(gaps).columns[-4:]) == ["low", "high", "images", "subjects"]


def test_a_share_is_paired_and_undefined_without_a_gap(tiny_config):
    """The same people are scored before and after: their differences drop out of the change."""
    before = scored(tiny_config, "synthetic", 0.9, 0.7)
    both = pd.concat([before, before.assign(run="unet-mixed", condition="mixed", f1=before.f1 + 0.1)])
    closed = domains.gap_closed(both, tiny_config).iloc[0]
    assert closed["change low"] == pytest.approx(0.1) and closed["change high"] == pytest.approx(0.1)
    assert closed["share low"] < closed["share won back"] < closed["share high"]
    assert closed["share won back"] == pytest.approx(closed.change / closed["gap synthetic"])

    level = scored(tiny_config, "synthetic", 0.7, 0.7)
    both = pd.concat([level, level.assign(run="unet-mixed", condition="mixed", f1=level.f1 + 0.1)])
    table = domains.gap_closed(both, tiny_config)
    assert table[["share won back", "share low", "share high"]].isna().all(axis=None)
    assert "undefined" in words.read_closed(table) and table["change low"].notna().all()
    assert "may be no gap at all" in words.read_gaps(domains.domain_gap(both, tiny_config))


def test_a_change_is_that_of_the_images_that_both_are_tested_on(tiny_config):
    """A baseline tested on half the people, the harder ones, against a condition tested on all: no change at all."""
    after = scored(tiny_config, "synthetic", 0.9, 0.7).assign(run="unet-mixed", condition="mixed")
    easy = after.subject.isin(["p0", "p1", "p2", "p3", "p4"])
    after["f1"] += 0.2 * easy
    before = after[~easy].assign(run="unet-synthetic", condition="synthetic")
    closed = domains.gap_closed(pd.concat([before, after]), tiny_config).iloc[0]
    assert closed.change == 0 and closed.images == 30 and closed.subjects == 5
    assert [closed["change low"], closed["change high"]] == pytest.approx([0, 0])


def test_one_person_has_no_interval(tiny_config):
    alone = scored(tiny_config, "synthetic", 0.9, 0.7).assign(subject=lambda s: s.subject.where(s.part == "val", "p0"))
    assert domains.domain_gap(alone, tiny_config)[["low", "high"]].isna().all(axis=None)


def test_generated_eyes_in_few_groups_count_for_themselves(tiny_config):
    rows = pd.DataFrame({"dataset": ["Drawn"] * 12 + ["Photos"] * 12, "image_id": [f"i{i}" for i in range(24)]})
    few = rows.assign(subject="one")
    assert domains.units(few, tiny_config).tolist() == [*rows.image_id[:12], *["one"] * 12]
    many = rows.assign(subject=[f"s{i}" for i in range(24)])
    assert domains.units(many, tiny_config).tolist() == many.subject.tolist()


def test_eyes_are_drawn_from_the_source_and_every_test_set(tiny_config):
    eyes = domains.draw_eyes(tiny_config)
    assert eyes.groupby("domain").part.unique().map(list).to_dict() == {"real": ["test"], "synthetic": ["val"]}
    assert eyes.domain.iloc[0] == "synthetic" and not eyes.image_id.duplicated().any()
    more = domains.draw_eyes(tiny_config, ("train", "val"))
    assert (more.domain == "synthetic").sum() == 12
    few = tiny_config.model_copy(update={"gap": tiny_config.gap.model_copy(update={"images": 3})})
    assert domains.draw_eyes(few, ("train", "val")).groupby("dataset").size().tolist() == [3, 3]
    other = tiny_config.model_copy(update={"gap": tiny_config.gap.model_copy(update={"system": "unet"})})
    assert domains.gap_run(tiny_config).system == "cgdseg" and domains.gap_run(other).system == "unet"
