"""Losses and scores against formulas written out and against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from cgdseg.scoring.metrics import count_pixels, f1_by_threshold, pooled_scores, scores
from cgdseg.training.losses import dice_bce, dice_bce_of_sums, pixel_sums


def test_dice_bce_is_the_slides_formula():
    logits, targets = torch.randn(3, 1, 5, 7), (torch.rand(3, 1, 5, 7) > 0.7).float()
    p, y = torch.sigmoid(logits.double()), targets.double()
    bce = -(y * p.log() + (1 - y) * (1 - p).log()).mean()
    dice = 1 - (2 * (p * y).sum() + 1e-6) / (p.sum() + y.sum() + 1e-6)
    assert dice_bce(logits, targets).item() == pytest.approx((0.4 * bce + 0.6 * dice).item(), abs=1e-6)


def test_a_perfect_prediction_costs_nothing_and_a_wrong_one_much():
    targets = (torch.rand(2, 1, 8, 8) > 0.5).float()
    perfect = 40 * (2 * targets - 1)
    assert dice_bce(perfect, targets) < 1e-6
    assert dice_bce(-perfect, targets) > 10
    nothing = torch.full((1, 1, 4, 4), -50.0), torch.zeros(1, 1, 4, 4)
    assert dice_bce(*nothing, bce_weight=0, dice_weight=1) == pytest.approx(0, abs=1e-6)


def test_the_loss_of_a_batch_does_not_depend_on_how_it_is_shared_out():
    logits, targets = torch.randn(5, 2, 6, 4), (torch.rand(5, 2, 6, 4) > 0.7).float()
    parts = [pixel_sums(*part) for part in zip(logits.split([2, 3]), targets.split([2, 3]), strict=True)]
    assert dice_bce_of_sums(torch.cat(parts)).item() == pytest.approx(dice_bce(logits, targets).item(), rel=1e-6)


def test_half_precision_logits_are_lifted():
    logits = torch.full((1, 1, 64, 64), 8.0, dtype=torch.float16)
    assert dice_bce(logits, torch.ones(1, 1, 64, 64)).dtype == torch.float32


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
