"""Checks that need paper and pencil: formulas over the slides' own numbers, settings, curves, orders of growth."""

import math
import re

import numpy as np
import pandas as pd
import torch
from torch import nn

from cgdseg.data.augment import SLIDES
from cgdseg.studies.claims.evidence import Evidence, paper_config
from cgdseg.studies.claims.ledger import Found, in_words
from cgdseg.training import losses


def follows(evidence: Evidence, formula: str) -> Found:
    """Computed again from other numbers of the slides."""
    value = float(pd.eval(formula, local_dict=evidence.numbers, engine="python"))
    other = next((claim for claim in evidence.claims if claim.id == formula), None)
    if other:
        said = f"“{other.claim}” on the slide “{other.slide}” says {in_words(value, other.unit)}"
        return Found(value, said, "slides")
    written = re.sub(r"[a-z_]\w*", lambda name: f"{evidence.numbers[name[0]]:,.10g}", formula)
    return Found(value, f"{written} = {in_words(value)}", "slides")


def computed(evidence: Evidence, formula: str) -> Found:
    """Computed from definitions."""
    value = float(pd.eval(formula, engine="python"))
    return Found(value, f"{formula} = {in_words(value)}")


def setting(evidence: Evidence, path: str) -> Found:
    """The value that the recipe of this repository, configs/ssbc2026.yaml, trains with."""
    value = paper_config()
    for name in path.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    if isinstance(value, tuple) and isinstance(value[0], str):
        value = len(set(value))
    if isinstance(value, tuple):
        value = "×".join(map(str, value))
    return Found(value if isinstance(value, str | bool) else float(value), f"`{path}` of the recipe is {value}")


def epsilon(evidence: Evidence) -> Found:
    """The constant in our Dice loss, and that loss where truth and prediction are both empty."""
    empty = losses.dice_bce(torch.full((1, 1, 8, 8), -1e4), torch.zeros(1, 1, 8, 8), 0.0, 1.0).item()
    return Found(losses.EPSILON, f"with nothing to find and nothing found the loss is {empty:.3g}")


def augmentation(evidence: Evidence, name: str, what: str = "p", end: int | None = None, scale: float = 1.0) -> Found:
    """A setting of our augmentation pipeline."""
    value = getattr(SLIDES[name], what)
    value = value if end is None else value[end]
    return Found(float(value) * scale, f"`{what}` of {name} is {value}")


def learning_rate(evidence: Evidence, epoch: int) -> Found:
    """PyTorch's CosineAnnealingLR with the recipe's settings, after so many epochs."""
    settings = paper_config().training
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=settings.lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs, settings.min_lr)
    for _ in range(epoch):
        optimizer.step()
        scheduler.step()
    rate = scheduler.get_last_lr()[0]
    written = settings.min_lr + 0.5 * (settings.lr - settings.min_lr) * (1 + math.cos(math.pi * epoch / 70))
    return Found(rate, f"after {epoch} epochs {rate:.3g}; the slides' formula gives {written:.3g}")


def adamw_default(evidence: Evidence, name: str, place: int | None = None) -> Found:
    """PyTorch's AdamW by its defaults, which our optimizer leaves as they are."""
    value = torch.optim.AdamW([nn.Parameter(torch.zeros(1))]).defaults[name]
    return Found(float(value if place is None else value[place]))


def moves_one_way(evidence: Evidence, values: list[float], up: bool = True) -> Found:
    """Every value the slides print against the one before it."""
    steps = np.diff(values)
    against = int(((steps < 0) if up else (steps > 0)).sum())
    still = int((steps == 0).sum())
    said = f"of {len(steps)} steps {against} go the other way and {still} stand still; other epochs are not printed"
    return Found(against + still == 0, said, "slides")


def share_of_gain(evidence: Evidence, first: float, then: float, last: float) -> Found:
    """How much of the whole gain the first epochs make, of the slides' numbers; rapid means most of it."""
    share = 100 * (then - first) / (last - first)
    return Found(share > 50, f"{then} - {first} is {share:.0f} % of all that is gained until {last}", "slides")


def same_identity(evidence: Evidence) -> Found:
    """IoU = F1 / (2 - F1) for random counts of pixels."""
    tp, fp, fn = np.random.default_rng(0).integers(0, 10_000, size=(3, 10_000)).astype(float) + 1
    f1, iou = 2 * tp / (2 * tp + fp + fn), tp / (tp + fp + fn)
    worst = np.abs(iou - f1 / (2 - f1)).max()
    return Found(bool(worst < 1e-12), f"it holds for one set of counts: 10,000 random ones differ by {worst:.1g} most")


def identity_in_table(evidence: Evidence, pairs: list[list[float]]) -> Found:
    """IoU = F1 / (2 - F1) for every pair that a slide prints, both rounded to four decimals."""
    f1, iou = np.array(pairs).T
    apart, least = iou - f1 / (2 - f1), 5e-5 + 5e-5 * 2 / (2 - f1) ** 2
    beyond = int((np.abs(apart) > least).sum())
    said = (
        f"{beyond} of {len(pairs)} pairs are further apart than rounding allows; IoU lies above in "
        f"{int((apart > 0).sum())}, by {apart.mean():.1g} on average, as it does for means over batches or images"
    )
    return Found(beyond == 0, said, "slides")


def receptive_field(evidence: Evidence) -> Found:
    """The receptive field of L plain 3×3 convolutions, found by gradients, against L and against log L."""
    depths = np.array([2, 4, 8, 16])
    fields = np.array([_field(int(depth)) for depth in depths])
    linear, logarithmic = (np.corrcoef(x, fields)[0, 1] ** 2 for x in (depths, np.log(depths)))
    listed = ", ".join(f"{field} after {depth}" for depth, field in zip(depths, fields, strict=True))
    said = f"{listed} convolutions; a line in depth explains {linear:.1%} of it, one in log depth {logarithmic:.1%}"
    return Found(bool(logarithmic > linear), f"{said}. With stride 2 in between it doubles each time, faster still")


def _field(depth: int) -> int:
    """Pixels along a side that one output of `depth` 3×3 convolutions depends on."""
    side = 2 * depth + 7
    image = torch.zeros(1, 1, side, side, requires_grad=True)
    features = image
    for _ in range(depth):
        features = nn.functional.conv2d(features, torch.ones(1, 1, 3, 3) / 9, padding=1)
    features[0, 0, side // 2, side // 2].backward()
    return int((image.grad[0, 0, side // 2] != 0).sum())


def cornea_and_sclera(evidence: Evidence, cornea_mm: float, eyeball_mm: float) -> Found:
    """The sphere's share that a cap as wide as the cornea leaves (11.7 mm across, an eyeball of 24 mm)."""
    cap = (1 - math.sqrt(1 - (cornea_mm / eyeball_mm) ** 2)) / 2
    said = f"the cornea takes {100 * cap:.1f} % of the sphere and the sclera nearly all the rest"
    return Found(100 * (1 - cap), said)


def ranks_alike(evidence: Evidence) -> Found:
    """Mean F1 and mean IoU over images as orders of two systems: one counterexample is enough."""
    even, uneven = np.array([0.80, 0.80]), np.array([1.00, 0.58])  # F1 of two images by two systems
    f1 = [float(scores.mean()) for scores in (even, uneven)]
    iou = [float((scores / (2 - scores)).mean()) for scores in (even, uneven)]
    said = (
        f"for one image they do. As means over images they need not: F1 of {even[0]:.2f} twice beats {uneven[0]:.2f} "
        f"and {uneven[1]:.2f} ({f1[0]:.3f} to {f1[1]:.3f}), yet loses in mean IoU ({iou[0]:.3f} to {iou[1]:.3f})"
    )
    return Found((f1[0] > f1[1]) == (iou[0] > iou[1]), said)
