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
    """Computed again from the slides' own numbers."""
    value = float(pd.eval(formula, local_dict=evidence.numbers, engine="python"))
    other = next((claim for claim in evidence.claims if claim.id == formula), None)
    if other:
        said = f"“{other.claim}” on the slide “{other.slide}” says {in_words(value, other.unit)}"
        return Found(value, said, "slides")
    known = {name: f"{number:,.10g}" for name, number in evidence.numbers.items()}
    written = re.sub(r"[a-z_]\w*", lambda name: known.get(name[0], name[0]), formula)
    return Found(value, f"{written} = {in_words(value)}", "slides")


def setting(evidence: Evidence, path: str, count: bool = False) -> Found:
    """The value that the recipe of this repository, configs/ssbc2026.yaml, trains with, or how many there are."""
    value = paper_config()
    for name in path.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    if isinstance(value, tuple):
        value = len(set(value)) if count else "×".join(map(str, value))
    said = f"`{path}` of the recipe {'holds' if count else 'is'} {value}"
    return Found(value if isinstance(value, str | bool) else float(value), said, "config")


def epsilon(evidence: Evidence) -> Found:
    """The constant in our Dice loss, and that loss where truth and prediction are both empty."""
    empty = losses.dice_bce(torch.full((1, 1, 8, 8), -1e4), torch.zeros(1, 1, 8, 8), 0.0, 1.0).item()
    return Found(losses.EPSILON, f"with nothing to find and nothing found the loss is {empty:.3g}", "config")


def augmentation(evidence: Evidence, name: str, what: str = "p", end: int | None = None, scale: float = 1.0) -> Found:
    """A setting of our augmentation pipeline."""
    value = getattr(SLIDES[name], what)
    value = value if end is None else value[end]
    return Found(float(value) * scale, f"`{what}` of {name} is {value}", "config")


def learning_rate(evidence: Evidence, epoch: int) -> Found:
    """PyTorch's CosineAnnealingLR with the recipe's settings, after so many epochs."""
    settings = paper_config().training
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=settings.lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs, settings.min_lr)
    for _ in range(epoch):
        optimizer.step()
        scheduler.step()
    rate = scheduler.get_last_lr()[0]
    written = settings.min_lr + 0.5 * (settings.lr - settings.min_lr) * (
        1 + math.cos(math.pi * epoch / settings.epochs)
    )
    return Found(rate, f"after {epoch} epochs {rate:.3g}; the slides' formula gives {written:.3g}")


def adamw_default(evidence: Evidence, name: str, place: int | None = None) -> Found:
    """PyTorch's AdamW by its defaults, which our optimizer leaves as they are."""
    value = torch.optim.AdamW([nn.Parameter(torch.zeros(1))]).defaults[name]
    return Found(float(value if place is None else value[place]), f"AdamW's {name} are {value}", "config")


def moves_one_way(evidence: Evidence, values: list[float], missing: str, up: bool = True) -> Found:
    """Every value the slides print against the one before it; those can speak against a claim of all, not for it."""
    steps = np.diff(values)
    against, still = int(((steps < 0) if up else (steps > 0)).sum()), int((steps == 0).sum())
    said = f"of {len(steps)} printed steps {against} go the other way and {still} stand still; {missing}"
    return Found(False, said, "slides") if against + still else Found(None, said, "nothing")


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
    """The orders that F1 and IoU give to random counts of pixels."""
    tp, fp, fn = np.random.default_rng(0).integers(0, 10_000, size=(3, 10_000)).astype(float) + 1
    f1, iou = 2 * tp / (2 * tp + fp + fn), tp / (tp + fp + fn)
    rising = bool((np.diff(iou[np.argsort(f1, kind="stable")]) >= -1e-12).all())  # equal scores differ by rounding
    even, uneven = np.array([0.80, 0.80]), np.array([1.00, 0.58])  # F1 of two images by two systems
    f1s, ious = zip(*((s.mean(), (s / (2 - s)).mean()) for s in (even, uneven)), strict=True)
    said = (
        f"for one image, or all pixels together, {len(f1):,} draws rank alike. Means over images need not: F1 of "
        f"{even[0]:.2f} twice beats {uneven[0]:.2f} and {uneven[1]:.2f} ({f1s[0]:.3f} to {f1s[1]:.3f}), yet loses in "
        f"mean IoU ({ious[0]:.3f} to {ious[1]:.3f})"
    )
    return Found(rising, said)


def iou_of_f1(evidence: Evidence, f1: float | str) -> Found:
    """The IoU that an F1 of the slides allows: F1 / (2 - F1), or more where both are means of batches or images."""
    f1 = evidence.numbers[f1] if isinstance(f1, str) else f1
    low = f1 / (2 - f1)
    said = f"all pixels together have {low:.4f}; as F1 / (2 - F1) bends upwards, means lie above it, up to F1 itself"
    return Found((low, f1), said, "slides")


def share_from_mae(evidence: Evidence, f1: float, mae: float) -> Found:
    """The sclera's share of the pixels by F1 = 2 TP / (2 TP + FP + FN) and MAE = (FP + FN) / N, in per cent."""
    low, high = _share(f1, mae)
    apart = "" if high <= 1 else f"; with what is wrong it would be {high:.1%} of the image, so that no masks fit"
    said = f"TP = F1 MAE / (2 (1 - F1)) is {low:.1%} of the pixels, the least that sclera has{apart}"
    return Found((100 * low, 100 * high), said, "slides")


def one_share(evidence: Evidence, pairs: list[list[float]]) -> Found:
    """Whether one share of sclera fits F1 and MAE of all printed epochs, which validate on the same images."""
    least, most = np.array([_share(f1, mae) for f1, mae in pairs]).T
    said = f"binary masks take {least.max():.1%} or more in one epoch, {most.min():.1%} or less in another"
    said = f"{said}; MAE of probabilities, which is not what the slides define, need not fit"
    return Found(bool(least.max() <= most.min()), said, "slides")


def _share(f1: float, mae: float) -> tuple[float, float]:
    """Shares of sclera (0 to 1), least with no pixel missed, most with no false alarm, for all pixels together."""
    hit = f1 * mae / (2 * (1 - f1))
    return hit, hit + mae


def loss_of_f1(evidence: Evidence, f1: float, loss: float) -> Found:
    """A printed loss against the least that its F1 allows, where sclera has the least share that the slides give."""
    numbers, share = evidence.numbers, evidence.claimed("sclera_share")[0] / 100
    misses = 2 * (1 - f1) / f1  # wrong pixels for each that is hit
    wrong = share * misses / (1 + misses)  # of all pixels, none of them a false alarm
    least_dice = (1 - f1) / (3 - f1)  # a wrong pixel at a half, the others sure
    least = numbers["bce_weight"] * wrong * math.log(2) + numbers["dice_weight"] * least_dice
    rest = (loss - numbers["dice_weight"] * (1 - f1)) / numbers["bce_weight"]
    said = (
        f"as a wrong pixel costs ln 2 of BCE at least, F1 {f1} takes {least:.4f}; a Dice loss of 1 - F1 would leave a "
        f"BCE of {rest:.3f}, where a half everywhere has {math.log(2):.3f}"
    )
    return Found(loss >= least, said, "slides")


def same_steps(evidence: Evidence) -> Found:
    """Optimiser steps of the mixed and of the synthetic training; where they differ, so does more than data."""
    numbers = evidence.numbers
    mixed, synthetic = (numbers[f"{name}_batches"] * numbers["epochs"] for name in ("mixed", "synthetic"))
    said = (
        f"the mixed model takes {mixed:,.0f} steps, {mixed / synthetic:.2g} times the {synthetic:,.0f} of the synthetic"
    )
    return Found(mixed == synthetic, f"{said} one; only equal steps would leave the data as the one cause", "slides")
