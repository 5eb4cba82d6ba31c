"""Losses on logits: (B, K, H, W) logits and {0, 1} targets of the same shape -> a scalar.

They are made of sums over pixels, so that one loss can be taken over images that several processes hold."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-6


def pixel_sums(logits: Tensor, targets: Tensor) -> Tensor:
    """(B, K, 5): BCE, p y, p, y and 1, each summed over the pixels of an image; in float32 whatever the logits."""
    logits, targets = logits.float(), targets.float()
    bce = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    probs = logits.sigmoid()
    maps = (bce, probs * targets, probs, targets, torch.ones_like(targets))
    return torch.stack([values.sum((2, 3)) for values in maps], dim=-1)


def dice_bce_of_sums(sums: Tensor, bce_weight: float = 0.4, dice_weight: float = 0.6) -> Tensor:
    """Slide "DiceBCE Formulation" from `pixel_sums` (B, K, 5), with the images taken together as one batch.

    BCE is the mean over all pixels and classes. Dice is 1 - (2 sum(p y) + e) / (sum p + sum y + e) over all pixels of
    the batch (slide "Soft Dice Loss"), mean over K."""
    bce, overlap, probs, truth, pixels = sums.sum(0).unbind(-1)
    dice = 1 - (2 * overlap + EPSILON) / (probs + truth + EPSILON)
    return bce_weight * bce.sum() / pixels.sum() + dice_weight * dice.mean()


def dice_bce(
    logits: Tensor,
    targets: Tensor,
    bce_weight: float = 0.4,
    dice_weight: float = 0.6,
    across: Callable[[Tensor], Tensor] = lambda sums: sums,
) -> Tensor:
    """`dice_bce_of_sums` of a batch; `across` adds up the sums (1, K, 5) of the parts that other processes hold."""
    sums = pixel_sums(logits, targets).sum(0, keepdim=True)
    return dice_bce_of_sums(across(sums), bce_weight, dice_weight)
