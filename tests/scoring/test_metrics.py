"""Losses and scores against formulas written out and against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as sk

from cgdseg.scoring.metrics import count_pixels, f1_by_threshold, pooled_scores, scores


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    return rng.random((6, 9, 11)), rng.random((6, 9, 11)) > 0.6


def test_scores_equal_scikit_learn(maps):
    probs, truth = maps
    table = scores(count_pixels(probs, truth))
    for i, row in table.iterrows():
        y, p = truth[i].ravel(), probs[i].ravel() >= 0.5
        assert row.f1 == pytest.approx(sk.f1_score(y, p), abs=1e-12)
        assert row.iou == pytest.approx(sk.jaccard_score(y, p), abs=1e-12)
        assert row.precision == pytest.approx(sk.precision_score(y, p), abs=1e-12)
        assert row.recall == pytest.approx(sk.recall_score(y, p), abs=1e-12)
        assert row.mae == pytest.approx(sk.mean_absolute_error(y, probs[i].ravel()), abs=1e-12)


def test_pooled_f1_is_that_of_all_pixels(maps):
    probs, truth = maps
    pooled = pooled_scores(count_pixels(probs, truth))
    assert pooled.f1 == pytest.approx(sk.f1_score(truth.ravel(), probs.ravel() >= 0.5), abs=1e-12)
    assert pooled.iou == pytest.approx(pooled.f1 / (2 - pooled.f1), abs=1e-12)


def test_iou_of_mean_f1_is_not_the_mean_iou(maps):
    """The slides' identity holds per image and pooled, not for means; it is how we tell which one they report."""
    probs, truth = np.concatenate([maps[0], maps[1][:1].astype(float)]), np.concatenate([maps[1], maps[1][:1]])
    mean = scores(count_pixels(probs, truth)).mean()
    assert mean.iou > mean.f1 / (2 - mean.f1) + 1e-3


def test_empty_prediction_and_empty_truth_score_zero():
    table = scores(count_pixels(np.zeros((1, 2, 2)), np.zeros((1, 2, 2), bool)))
    assert (table[["f1", "iou", "precision", "recall", "mae"]] == 0).all(axis=None)


def test_threshold_is_inclusive():
    counts = count_pixels(np.full((1, 1, 1), 0.5), np.ones((1, 1, 1), bool))
    assert counts.tp[0] == 1


def test_sizes_must_agree():
    with pytest.raises(ValueError, match="resize one of them"):
        count_pixels(np.zeros((1, 2, 2)), np.zeros((1, 2, 3), bool))


def test_f1_by_threshold_equals_one_threshold_at_a_time(maps):
    probs, truth = maps
    probs = probs.round(1)  # many probabilities lie exactly on a threshold
    thresholds = np.array([0.1, 0.3, 0.5, 0.9])
    plain = np.stack([scores(count_pixels(probs, truth, t)).f1 for t in thresholds], axis=1)
    assert np.allclose(f1_by_threshold(probs, truth, thresholds), plain, atol=1e-12)
