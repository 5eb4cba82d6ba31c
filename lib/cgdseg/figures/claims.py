"""Figures of the ledger of claims."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

# by what a verdict rests on, agreeing and not: here in dark, our settings in blue, the slides alone in pale
VERDICT_COLOURS = ["#009E73", "#56B4E9", "#B5E0CF", "#D55E00", "#0072B2", "#F0C000", "#CC79A7", "#BBBBBB"]
SLIDE_HEIGHT = 0.24  # inches of a slide's bar


def verdicts_by_slide(grid: pd.DataFrame) -> Figure:
    """Claims by slide (`claims.tables.by_slide`), stacked by verdict; the slides in their order from the top."""
    colours = dict(zip(grid.columns, VERDICT_COLOURS, strict=True))
    figure, axis = plt.subplots(figsize=(8.5, SLIDE_HEIGHT * len(grid) + 1.2), layout="constrained")
    left = np.zeros(len(grid))
    names = [name if len(name) < 48 else name[:46] + "…" for name in grid.index]
    for verdict in grid.columns:
        counts = grid[verdict].to_numpy()
        label = f"{verdict} ({counts.sum()})"
        axis.barh(names, counts, left=left, color=colours[verdict], label=label, height=0.75)
        left += counts
    axis.margins(y=0.01)
    axis.invert_yaxis()
    axis.set(xlabel="claims", ylabel="")
    axis.tick_params(axis="y", labelsize=8)
    axis.grid(axis="y", visible=False)
    sns.despine(ax=axis, left=True)
    figure.legend(frameon=False, loc="outside upper center", ncols=4, fontsize=8)
    return figure
