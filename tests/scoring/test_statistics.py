"""Differences between runs against enumeration and scipy, on made-up people."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cgdseg.scoring.statistics import (
    Sample,
    compare_runs,
    draw_people,
    estimate,
    holm,
    interval,
    paired_difference,
    resampled_means,
    seed_spread,
    several_means,
    sign_flip_p,
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


def test_resampled_means_are_those_of_whole_people():
    """Against the images written out, person by person, with weights and with images that have no value."""
    table = people()
    weights = np.random.default_rng(3).uniform(0.5, 2, len(table))
    values = table.f1.where(table.index % 4 != 1)
    found = resampled_means(Sample(values, table.subject, weights, seed=7), 50)
    names = sorted(table.subject.unique())
    draws = draw_people(len(names), 50, 7)
    assert draws[0].tolist() == list(range(len(names))) and len(draws) == len(found) == 51
    for draw, mean in zip(draws, found, strict=True):
        rows = np.concatenate([np.flatnonzero(table.subject == names[k]) for k in draw])
        rows = rows[values.notna().to_numpy()[rows]]
        assert mean == pytest.approx(np.average(values.to_numpy()[rows], weights=weights[rows]))


def test_the_same_people_are_drawn_together_and_others_apart():
    first = people(20)
    both = Sample(first.f1, first.subject), Sample(first.f1 + 0.1, first.subject)
    assert interval(*both, of=lambda a, b: b - a) == pytest.approx((0.1, 0.1))
    assert interval(*(s._replace(values=3 * s.values) for s in both), of=lambda a, b: (b - a) / a)[0] > 0
    some = Sample(first.f1.where(first.subject != "p3"), first.subject)  # whoever has a value
    assert interval(some, both[0], of=lambda a, b: a * 0 + b) == pytest.approx(interval(both[0]))
    others = Sample(first.f1 + 0.1, "other " + first.subject)
    low, high = interval(both[0], others, of=np.subtract)
    alone = np.subtract(*interval(both[0])[::-1])
    assert high - low == pytest.approx(np.sqrt(2) * alone, rel=0.1)


def test_an_interval_is_about_its_estimate_and_takes_several_results_at_once():
    first, second = people(12), changed(people(12), 0.05)
    samples = Sample(first.f1, first.subject), Sample(second.f1, second.subject)

    def both(before, after):
        return np.stack([after - before, after / before])

    assert estimate(*samples, of=both) == pytest.approx(
        [second.f1.mean() - first.f1.mean(), second.f1.mean() / first.f1.mean()]
    )
    low, high = interval(*samples, of=both)
    assert (low < estimate(*samples, of=both)).all() and (high > estimate(*samples, of=both)).all()
    assert (low[0], high[0]) == interval(*samples, of=lambda before, after: after - before)


def test_fewer_than_two_people_have_a_mean_and_no_interval():
    table = people(3)
    alone = Sample(table.f1.where(table.subject == "p1"), table.subject)
    assert estimate(alone) == pytest.approx(table.f1[table.subject == "p1"].mean())
    assert np.isnan(interval(alone)).all() and not np.isnan(interval(Sample(table.f1, table.subject))).any()
    assert np.isnan(interval(alone, Sample(table.f1, table.subject), of=np.subtract)).all()
    assert np.isnan([estimate(Sample([], [])), *interval(Sample([], []))]).all()
    nothing = several_means(table.assign(run="a", hd95=np.nan), ["run"], {"hd95": "HD95"}).iloc[0]
    assert np.isnan(nothing["HD95 low"]) and nothing.unscored == len(table)


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
    found, change = paired_difference(first, second), (second.f1 - first.f1).to_numpy()
    assert found["p"] == pytest.approx(stats.ttest_rel(second.f1, first.f1).pvalue, abs=0.02)
    assert found["d"] == pytest.approx(stats.ttest_rel(second.f1, first.f1).statistic / np.sqrt(40))
    reference = stats.bootstrap((change,), np.mean, method="percentile", n_resamples=4000, rng=0).confidence_interval
    assert [found["low"], found["high"]] == pytest.approx(list(reference), abs=0.005)


def test_swapping_the_runs_turns_the_sign_and_nothing_else():
    first, second = people(), changed(people(), 0.05)
    there, back = paired_difference(first, second), paired_difference(second, first)
    assert there["change"] == pytest.approx(-back["change"]) and there["d"] == pytest.approx(-back["d"])
    assert there["p"] == back["p"] and there["low"] == pytest.approx(-back["high"], abs=0.02)


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
