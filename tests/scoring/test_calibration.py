"""Calibration, and the counts that stand for pixels no longer kept, against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from cgdseg.scoring.calibration import (
    brier_scores,
    calibration_error,
    count_levels,
    error_of,
    precision_recall_of,
    reliability_of,
    reliability_of_pixels,
)
from cgdseg.scoring.metrics import f1_by_threshold
from cgdseg.scoring.tally import CALIBRATION, EVERY_SCORE, THRESHOLDS, Tally, levels_of


@pytest.fixture
def maps():
    """Probabilities (4, 30, 40) float32 that are a little too bold, and their truth; the last image has no sclera."""
    rng = np.random.default_rng(5)
    fair = rng.beta(0.3, 0.9, (4, 30, 40))
    truth = rng.random(fair.shape) < fair
    truth[-1] = False
    bold = fair**1.5 / (fair**1.5 + (1 - fair) ** 1.5)
    return bold.astype(np.float32), truth


def test_reliability_and_its_error_equal_scikit_learns(maps):
    probs, truth = maps
    found, said = calibration_curve(truth.ravel(), probs.ravel(), n_bins=10)
    table = reliability_of_pixels(probs, truth)
    assert np.allclose(table.found, found) and np.allclose(table.said, said, atol=1e-6)
    pixels = np.histogram(probs, bins=10, range=(0, 1))[0]
    expected = np.average(np.abs(said - found), weights=pixels)
    assert calibration_error(table) == pytest.approx(expected, abs=1e-6)
    assert calibration_error(table, foreground=True) == pytest.approx(
        np.average(np.abs(said - found)[1:], weights=pixels[1:]), abs=1e-6
    )


def test_brier_equals_scikit_learns(maps):
    for prob, mask in zip(*maps, strict=True):
        every, foreground = brier_scores(prob, mask)
        said = prob >= 0.1
        expected = [
            sk.brier_score_loss(y.astype(int), p, pos_label=1)
            for y, p in ((mask.ravel(), prob.ravel()), (mask[said], prob[said]))
        ]
        assert [every, foreground] == pytest.approx(expected, abs=1e-7)


def test_a_calibrated_foreground_has_no_error():
    """Chosen by what was said, the foreground is as calibrated as the whole; chosen by the truth it would not be."""
    rng = np.random.default_rng(0)
    probs = rng.beta(0.4, 1.5, 400_000)
    truth = rng.random(probs.shape) < probs
    assert calibration_error(reliability_of_pixels(probs, truth), foreground=True) < 0.005
    near = truth | (probs >= 0.1)
    assert calibration_error(reliability_of_pixels(probs[near], truth[near])) > 0.02


def test_where_nothing_is_said_there_is_no_foreground():
    nothing, truth = np.zeros((5, 6), np.float32), np.ones((5, 6), bool)
    assert brier_scores(nothing, truth)[0] == 1 and np.isnan(brier_scores(nothing, truth)[1])
    assert np.isnan(calibration_error(reliability_of_pixels(nothing, truth), foreground=True))


def test_levels_add_up_to_what_pixels_say(maps):
    probs, truth = maps
    levels = sum(count_levels(p, t) for p, t in zip(probs, truth, strict=True))
    direct, summed = reliability_of_pixels(probs, truth), reliability_of(levels)
    assert np.allclose(direct.to_numpy(), summed.to_numpy(), atol=1e-6)
    for foreground in (False, True):
        expected = calibration_error(direct, foreground)
        assert error_of(levels, foreground) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_every_percent_is_its_own_level(kind):
    percents = (np.arange(101) / 100).astype(kind)
    assert count_levels(percents, np.ones(101, bool))[:, 0].tolist() == [1] * 101


def test_precision_and_recall_equal_scikit_learns(maps):
    probs, truth = np.floor(maps[0] * 100) / 100, maps[1]  # as coarse as the levels are
    curve = precision_recall_of(count_levels(probs, truth))
    for row in curve.iloc[[0, 10, 50, 90]].itertuples():
        predicted = probs.ravel() >= np.float32(row.threshold) - 1e-6
        assert row.precision == pytest.approx(sk.precision_score(truth.ravel(), predicted))
        assert row.recall == pytest.approx(sk.recall_score(truth.ravel(), predicted))
    area = -np.sum(np.diff(curve.recall, append=0) * curve.precision)
    assert area == pytest.approx(sk.average_precision_score(truth.ravel(), probs.ravel()), abs=1e-6)


def test_a_tally_is_the_same_in_any_batches(maps):
    """And no image is missing, whatever its dataset."""
    probs, truth = maps
    names = ["a", "b", "a", "b"]
    once, each = Tally(0.5), Tally(0.5)
    once.add(names, probs, truth)
    for i in range(4):
        each.add(names[i : i + 1], probs[i : i + 1], truth[i : i + 1])
    for tables in ((t.scores(), t.sweep(), t.levels()) for t in (once, each)):
        assert set(EVERY_SCORE) <= set(tables[0]) and len(tables[0]) == 4
    assert np.allclose(once.scores(), each.scores(), equal_nan=True)
    assert once.levels().equals(each.levels()) and once.sweep().equals(each.sweep())
    means = f1_by_threshold(probs, truth, THRESHOLDS)[::2].mean(axis=0)
    assert np.allclose(once.sweep().query("dataset == 'a'").f1, means)
    groups = dict(levels_of(once.levels(), ["dataset"]))
    assert groups[("b",)][:, 0].sum() == 2 * probs[0].size


def test_a_tally_counts_empty_predictions_and_leaves_what_has_no_border_unscored(maps):
    tally = Tally(0.5)
    tally.add(["a", "a"], np.zeros((2, 30, 40), np.float32), np.stack([maps[1][0], maps[1][-1]]))
    table = tally.scores()
    assert table["empty"].tolist() == [1, 1] and table.hd95.tolist()[0] == 50 and np.isnan(table.hd95[1])
    assert table[CALIBRATION].isna().sum().tolist() == [0, 2, 0, 2]
