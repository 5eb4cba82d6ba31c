"""The loss against its formula written out."""

import pytest
import torch

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
