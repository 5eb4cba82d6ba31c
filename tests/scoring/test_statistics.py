"""Differences between runs against enumeration and scipy, on made-up people."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cgdseg.scoring.statistics import (
    compare_runs,
    holm,
    paired_difference,
    seed_spread,
    several_means,
    sign_flip_p,
    subject_means,
)


def people(n: int = 6, each: int = 5, seed: int = 0) -> pd.DataFrame:
    """Scores of n people with up to `each` images apiece."""
    rng = np.random.default_rng(seed)
    subject = np.repeat([f"p{k}" for k in range(n)], rng.integers(2, each + 1, n))
    ids = [f"i{k}" for k in range(len(subject))]
    return pd.DataFrame({"image_id": ids, "subject": subject, "f1": rng.random(len(subject))})


def changed(table: pd.DataFrame, change: float, seed: int = 1) -> pd.DataFrame:
    """The same images scored by someone else, whose gain differs from person to person and image to image."""
    rng = np.random.default_rng(seed)
    gain = dict(zip(table.subject.unique(), rng.normal(change, 0.1, table.subject.nunique()), strict=True))
    return table.assign(f1=table.f1 + table.subject.map(gain) + rng.normal(0, 0.02, len(table)))


def test_a_score_that_does_not_exist_has_no_interval():
    nothing = several_means(people(3).assign(run="a", hd95=np.nan), ["run"], {"hd95": "HD95"}).iloc[0]
    assert np.isnan(nothing["HD95 low"]) and nothing.unscored == len(people(3))


def test_ends_of_a_share_stay_between_0_and_1():
    few = pd.DataFrame({"run": "a", "subject": ["p", "q"], "f1": [0.1, 0.9], "hd95": [10.0, 90.0]})
    assert subject_means(few, ["run"])[["low", "high"]].to_numpy().tolist() == [[0, 1]]
    distances = subject_means(few, ["run"], "hd95").iloc[0]
    assert distances.low < 0 and distances.high > 100


def test_p_is_that_of_all_flips():
    first = people()
    second = changed(first, 0.08)
    found = paired_difference(first, second)
    sums = (second.f1 - first.f1).groupby(first.subject).sum().to_numpy()
    flips = np.array(list(itertools.product([1, -1], repeat=len(sums)))) @ sums
    assert found["p"] == pytest.approx((np.abs(flips) >= abs(sums.sum()) - 1e-12).mean())
    assert found["change"] == pytest.approx((second.f1 - first.f1).mean())
    assert found["images"] == len(first) and found["subjects"] == 6


def test_with_one_image_a_person_it_is_scipys_test_and_cohens_d():
    first = people(40).drop_duplicates("subject")
    second = changed(first, 0.04)
    found = paired_difference(first, second)
    assert found["p"] == pytest.approx(stats.ttest_rel(second.f1, first.f1).pvalue, abs=0.02)
    assert found["d"] == pytest.approx(stats.ttest_rel(second.f1, first.f1).statistic / np.sqrt(40))
    reference = stats.ttest_rel(second.f1, first.f1).confidence_interval()
    assert [found["low"], found["high"]] == pytest.approx(list(reference))


def test_swapping_the_runs_turns_the_sign_and_nothing_else():
    first, second = people(), changed(people(), 0.05)
    there, back = paired_difference(first, second), paired_difference(second, first)
    assert there["change"] == pytest.approx(-back["change"]) and there["d"] == pytest.approx(-back["d"])
    assert there["p"] == back["p"] and there["low"] == pytest.approx(-back["high"])


def test_no_difference_is_no_finding():
    same = paired_difference(people(), people())
    assert same["change"] == 0 and same["p"] == 1 and np.isnan(same["d"])
    alone = people(n=1)
    assert np.isnan(paired_difference(alone, changed(alone, 0.1))["p"])


def test_p_is_uniform_where_there_is_nothing_to_find():
    found = []
    for seed in range(200):
        first = people(7, seed=seed)
        found.append(paired_difference(first, changed(first, 0.0, seed=1000 + seed))["p"])
    assert np.mean(np.array(found) <= 0.05) < 0.1
    assert 0.4 < np.mean(found) < 0.65


def test_holm_is_the_textbook():
    """Holm 1979's procedure by hand: the smallest times 4, the next times 3, never falling, never above 1."""
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    with_gap = holm(np.array([0.01, np.nan, 0.9, 0.6]))
    assert with_gap[[0, 2, 3]].tolist() == pytest.approx([0.03, 1, 1]) and np.isnan(with_gap[1])
    assert len(holm(np.array([]))) == 0


def runs(*names: tuple[str, str, int]) -> pd.DataFrame:
    base = people()
    tables = [
        changed(base, 0.1 * k, seed=k).assign(system=system, condition=condition, seed=seed, label="A")
        for k, (system, condition, seed) in enumerate(names)
    ]
    return pd.concat(tables, ignore_index=True)


def test_only_runs_that_differ_in_one_thing_are_compared():
    table = compare_runs(runs(("s", "x", 1), ("s", "y", 1), ("t", "x", 1), ("t", "y", 1)))
    assert set(zip(table["first"], table.second, strict=True)) == {
        ("s-x", "s-y"),
        ("s-x", "t-x"),
        ("s-y", "t-y"),
        ("t-x", "t-y"),
    }
    assert np.allclose(table["p (Holm)"], holm(table.p.to_numpy()))
    assert compare_runs(runs(("s", "x", 1))).empty


def test_seeds_are_averaged_before_runs_are_compared_and_reported_apart():
    scores = runs(("s", "x", 1), ("s", "x", 2), ("s", "y", 1), ("s", "y", 2))
    table = compare_runs(scores)
    assert len(table) == 1 and table.images[0] == len(people())
    means = scores.groupby(["condition", "seed"]).f1.mean()
    one = compare_runs(scores[scores.seed == 1])
    assert table.seeds.tolist() == [2] and one.seeds.tolist() == [1]
    assert table.high[0] - table.low[0] > one.high[0] - one.low[0]  # these seeds differ by a tenth
    assert table.change[0] == pytest.approx(means["y"].mean() - means["x"].mean())
    spread = seed_spread(scores, ["system", "condition", "label"]).set_index("condition").loc["x"]
    assert spread.seeds == 2 and spread["sd"] == pytest.approx(means["x"].std())
    assert [spread.least, spread.most] == [means["x"].min(), means["x"].max()]


def test_images_without_a_score_are_left_out_and_counted():
    table = people().assign(run="a", hd95=1.0)
    table.loc[:2, "hd95"] = np.nan
    found = several_means(table, ["run"], {"f1": "F1", "hd95": "HD95"}).iloc[0]
    assert found["HD95"] == 1 and found.unscored == 3 and found.images == len(table)
    assert found["F1"] == pytest.approx(table.f1.mean()) and found["F1 low"] < found["F1"] < found["F1 high"]


def test_flipping_signs_is_exact_for_few_people():
    assert sign_flip_p(np.array([0.2, 0.1, 0.3])) == pytest.approx(2 / 8)  # only all alike are as extreme
    assert np.isnan(sign_flip_p(np.array([0.5])))
    assert sign_flip_p(np.tile([1.0, -1.0], 20)) > 0.5
