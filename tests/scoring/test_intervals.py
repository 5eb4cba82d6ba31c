"""How often intervals cover the truth, by simulation, and that they are the textbook's where there is one."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit

from cgdseg.scoring.intervals import Sample, estimate, interval

# F1 as in the demo: mean on the logit scale, and deviations between people, seeds and images of a person
POPULATIONS = {"hard": (-0.3, 0.75, 0.4, 1.1), "middle": (1.6, 0.5, 0.3, 0.9), "easy": (3.05, 0.3, 0.2, 0.55)}


def draw(population: str, rng, people: int, seeds: int = 1, images: int = 8, times: int = 1) -> np.ndarray:
    """F1 (times, people, seeds, images) of people who differ, seeds that differ, and pairs of both that do."""
    mean, of_people, of_seeds, of_images = POPULATIONS[population]
    shapes = [(people, 1, 1), (1, seeds, 1), (people, seeds, 1), (people, 1, images), (people, seeds, images)]
    spreads = [of_people, of_seeds if seeds > 1 else 0, 0.2, of_images, 0.3]
    return expit(mean + sum(s * rng.standard_normal((times, *shape)) for s, shape in zip(spreads, shapes, strict=True)))


def truth_of(population: str, seeds: int) -> float:
    return draw(population, np.random.default_rng(9), 300, 300 if seeds > 1 else 1, 1, 3 if seeds > 1 else 900).mean()


def crossed(scores: np.ndarray) -> Sample:
    """Scores (people, seeds, images) as a sample."""
    people, seeds, _ = np.indices(scores.shape)
    return Sample(scores.ravel(), people.ravel(), trainings=seeds.ravel())


def table(n: int = 12, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    subject = np.repeat([f"p{k}" for k in range(n)], rng.integers(2, 6, n))
    return pd.DataFrame({"subject": subject, "f1": rng.random(len(subject))})


def test_with_as_many_images_a_person_it_is_students_t_on_their_means():
    scores = draw("middle", np.random.default_rng(0), 9)[0]
    means = scores.mean((1, 2))
    low, high = stats.t.interval(0.95, 8, means.mean(), stats.sem(means))
    assert interval(crossed(scores)) == pytest.approx((low, high))
    two = Sample(means, range(9)), Sample(means[:5] + 0.1, range(10, 15))
    welch = stats.ttest_ind(means, means[:5] + 0.1, equal_var=False)
    assert interval(*two, of=np.subtract) == pytest.approx(tuple(welch.confidence_interval()))
    assert estimate(*two, of=np.subtract).p() == pytest.approx(welch.pvalue)


@pytest.mark.parametrize("population", POPULATIONS)
def test_95_per_cent_cover_the_truth_from_five_people_on(population):
    """Of Student's t on people's means, which the test above shows it to be; a people bootstrap covers 87 % at 8."""
    rng, truth = np.random.default_rng(1), truth_of(population, 1)
    for people in (5, 8, 16, 40):
        means = draw(population, rng, people, times=4000).mean((2, 3))
        low, high = stats.t.interval(0.95, people - 1, means.mean(1), stats.sem(means, axis=1))
        assert ((low < truth) & (truth < high)).mean() >= 0.93, people
        drawn = means[:, rng.integers(people, size=(200, people))].mean(2)
        ends = np.percentile(drawn, [2.5, 97.5], axis=1)
        assert people > 8 or ((ends[0] < truth) & (truth < ends[1])).mean() < 0.91


@pytest.mark.parametrize("population", POPULATIONS)
def test_seeds_are_in_it_and_three_of_them_are_enough(population):
    rng, truth, hits, without = np.random.default_rng(2), truth_of(population, 3), [], []
    for people, seeds in [(5, 3), (8, 3), (16, 3)] * 80:
        sample = crossed(draw(population, rng, people, seeds)[0])
        for found, one in ((hits, sample), (without, sample._replace(trainings=None))):
            low, high = interval(one)
            found.append(low < truth < high)
    assert np.mean(hits) >= 0.93 and np.mean(without) < np.mean(hits) - 0.02


def test_weights_and_missing_values_are_those_of_plain_means():
    rows = table()
    weights = np.random.default_rng(3).uniform(0.5, 2, len(rows))
    values = rows.f1.where(rows.index % 4 != 1)
    found, known = estimate(Sample(values, rows.subject, weights)), values.notna()
    assert found.value == pytest.approx(np.average(values[known], weights=weights[known]))
    moved = (weights * (values - found.value)).groupby(rows.subject).sum() / weights[known].sum()
    assert found.error == pytest.approx(np.sqrt(len(moved) / (len(moved) - 1) * (moved**2).sum()))


def test_people_and_trainings_that_samples_share_are_counted_once():
    rows = table(20)
    before, after = Sample(rows.f1, rows.subject), Sample(rows.f1 + 0.1, rows.subject)
    assert interval(after, before, of=np.subtract) == pytest.approx((0.1, 0.1))
    half = rows[rows.subject.isin(rows.subject.unique()[:10])]
    some = Sample(half.f1, half.subject)
    shared = np.subtract(*interval(before, some, of=np.subtract))
    apart = np.subtract(*interval(before, some._replace(people="other " + half.subject), of=np.subtract))
    assert abs(shared) < 0.8 * abs(apart)  # half of these people are on both sides

    scores = draw("middle", np.random.default_rng(4), 8, 3)[0]
    worse = np.clip(scores - 0.05, 0, 1)
    same = interval(crossed(scores), crossed(worse), of=np.subtract)
    others = interval(crossed(scores), crossed(worse)._replace(trainings=3 + crossed(worse).trainings), of=np.subtract)
    assert same[1] - same[0] < 0.2 * (others[1] - others[0])


def test_several_results_at_once_are_those_one_by_one():
    first, second = table(), table(seed=1)
    samples = Sample(first.f1, first.subject), Sample(second.f1, second.subject)

    def both(before, after):
        return np.stack([after - before, after / before])

    found, low_high = estimate(*samples, of=both), interval(*samples, of=both)
    assert found.value == pytest.approx([second.f1.mean() - first.f1.mean(), second.f1.mean() / first.f1.mean()])
    assert [ends[0] for ends in low_high] == pytest.approx(interval(*samples, of=lambda a, b: b - a))
    logs = [np.log(ends) for ends in interval(*samples, of=lambda a, b: b / a)]
    steps = interval(*samples, of=lambda a, b: np.log(b) - np.log(a))
    assert logs == pytest.approx(steps, abs=0.02)  # linearised on one scale or the other


def test_fewer_than_two_people_have_a_mean_and_no_interval():
    rows = table(3)
    alone = Sample(rows.f1.where(rows.subject == "p1"), rows.subject)
    assert estimate(alone).value == pytest.approx(rows.f1[rows.subject == "p1"].mean())
    assert np.isnan(interval(alone)).all() and not np.isnan(interval(Sample(rows.f1, rows.subject))).any()
    assert np.isnan(interval(alone, Sample(rows.f1, rows.subject), of=np.subtract)).all()
    assert np.isnan([estimate(Sample([], [])).value, *interval(Sample([], []))]).all()
