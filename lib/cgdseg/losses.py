"""Losses on logits: (B, K, H, W) logits and {0, 1} targets of the same shape -> a scalar."""

import torch.nn.functional as F
from torch import Tensor


def soft_dice(logits: Tensor, targets: Tensor, epsilon: float = 1e-6) -> Tensor:
    """1 - (2 sum(p y) + e) / (sum p + sum y + e) over all pixels of the batch (slide "Soft Dice Loss"), mean over K."""
    probs, pixels = logits.sigmoid(), (0, 2, 3)
    overlap = (probs * targets).sum(pixels)
    return (1 - (2 * overlap + epsilon) / (probs.sum(pixels) + targets.sum(pixels) + epsilon)).mean()


def dice_bce(logits: Tensor, targets: Tensor, bce_weight: float = 0.4, dice_weight: float = 0.6) -> Tensor:
    """Slide "DiceBCE Formulation"; computed in float32 whatever the precision of the logits."""
    logits, targets = logits.float(), targets.float()
    bce = F.binary_cross_entropy_with_logits(logits, targets)
    return bce_weight * bce + dice_weight * soft_dice(logits, targets)
