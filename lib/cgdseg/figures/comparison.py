"""Figures of all runs side by side, and of the ledger of claims."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

MARKERS = "osD^vPX"
SLIDE_HEIGHT = 0.24  # inches of a slide's bar
OKABE_ITO = ["#009E73", "#D55E00", "#F0C000", "#56B4E9", "#BBBBBB"]  # can be told apart without red and green


def score_against_cost(table: pd.DataFrame, x: str = "training minutes", xlabel: str = "minutes of training") -> Figure:
    """F1 with its interval against a cost (`comparison.compare`), a panel a test set.

    A colour a condition, a marker a system with its parameters; what has no such cost is a dotted line."""
    datasets = list(dict.fromkeys(table.dataset))
    trained, others = table[table[x] > 0], table[~(table[x] > 0)]
    colours = dict(zip(trained.condition.unique(), sns.color_palette(), strict=False))
    markers = dict(zip(trained.system.unique(), MARKERS, strict=False))
    size = (3.6 * len(datasets) + 2, 3.6)
    figure, axes = plt.subplots(1, len(datasets), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for axis, dataset in zip(axes[0], datasets, strict=True):
        for row in trained[trained.dataset == dataset].itertuples():
            whiskers = np.nan_to_num(np.abs(np.array([[row.low], [row.high]]) - row.f1))
            look = {"color": colours[row.condition], "marker": markers[row.system]}
            axis.errorbar(table.loc[row.Index, x], row.f1, yerr=whiskers, capsize=2, markersize=7, elinewidth=1, **look)
        for row in others[others.dataset == dataset].itertuples():
            axis.axhline(row.f1, color="0.5", linewidth=1, linestyle=":")
            axis.annotate(row.run, (1, row.f1), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8)
        axis.set(title=dataset, xlabel=xlabel, ylim=(0, 1.03))
        axis.margins(x=0.12)
    axes[0, 0].set_ylabel("F1, mean over images")
    figure.legend(handles=_legend(trained, colours, markers), frameon=False, loc="outside right center")
    return figure


def _legend(table: pd.DataFrame, colours: dict, markers: dict) -> list[Line2D]:
    sizes = table.groupby("system").parameters.first()
    plain = {"linestyle": "", "markersize": 7}
    systems = [
        Line2D([], [], marker=markers[name], color="0.4", label=f"{name}, {_count(sizes[name])} parameters", **plain)
        for name in markers
    ]
    return systems + [Line2D([], [], color=colour, linewidth=4, label=name) for name, colour in colours.items()]


def _count(n: float) -> str:
    return f"{n / 1e6:.1f}M" if n >= 1e6 else f"{n / 1e3:.0f}k"


def verdicts_by_slide(grid: pd.DataFrame) -> Figure:
    """Claims by slide (`comparison.by_slide`), stacked by verdict; the slides in their order from the top."""
    colours = dict(zip(grid.columns, OKABE_ITO, strict=True))
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
    figure.legend(frameon=False, loc="outside upper center", ncols=3, fontsize=8)
    return figure
