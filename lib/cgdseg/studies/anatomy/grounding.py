"""Every form of grounding, untrained, on the same patches: what each key gives each patch, and what never learns."""

from typing import get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from cgdseg.config import systems
from cgdseg.models.grounding import build_grounding, weight_maps


def weights_of(settings: systems.CGDSeg, form: str, patches: Tensor) -> np.ndarray:
    """What one form of grounding, untrained, gives each key at each patch (1, C, h, w) of an image: (K, h, w)."""
    module = build_grounding(settings.model_copy(update={"grounding": form}), patches.shape[1])
    with torch.no_grad():
        return weight_maps(module, patches)[0].numpy()


def compare_groundings(settings: systems.CGDSeg, patches: Tensor) -> pd.DataFrame:
    """Every form of grounding, untrained, on the same patches (B, C, h, w).

    One row a form: form, keys, `differs by` (the most that a key's weight differs between two patches of an image),
    parameters, and how many of them the loss cannot move."""
    rows, patches = [], patches.double()  # so that a gradient that is nil can be told from a small one
    for form in get_args(systems.CGDSeg.model_fields["grounding"].annotation):
        module = build_grounding(settings.model_copy(update={"grounding": form}), patches.shape[1]).double()
        maps = weight_maps(module, patches)
        learned = list(module.parameters())
        grounded = module(patches)
        probe = (grounded * torch.linspace(-1, 1, grounded.numel()).view_as(grounded)).sum()
        gradients = torch.autograd.grad(probe, learned, allow_unused=True) if learned else []
        least = 1e-12 * max((g.abs().max() for g in gradients if g is not None), default=0)  # less is rounding
        moved = sum(int((g.abs() > least).sum()) for g in gradients if g is not None)
        row = {"form": form, "keys": 0 if maps is None else maps.shape[1]}
        row["differs by"] = float("nan") if maps is None else np.ptp(maps.numpy(force=True), axis=(2, 3)).max().item()
        count = sum(p.numel() for p in learned)
        rows.append(row | {"parameters": count, "never learn": count - moved})
    return pd.DataFrame(rows)


def read_groundings(table: pd.DataFrame) -> str:
    """`compare_groundings` in words."""
    flat, rest = table[table["differs by"] < 1e-6], table[table["differs by"] >= 1e-6]
    dead = flat["never learn"].max()
    return (
        f"With one key ({', '.join(f'`{form}`' for form in flat.form)}) every patch gets the same, and {dead:,} of "
        f"{flat.parameters.max():,} parameters never learn: what is left of the text is a learned vector, as `bias` "
        f"has in {table.set_index('form').parameters['bias']:,}. With several keys "
        f"({', '.join(f'`{form}`' for form in rest.form)}) patches differ in what they get, untrained by up to "
        f"{rest['differs by'].max():.2g}."
    )
