"""Figures of all runs side by side."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cgdseg.figures.style import whiskers

MARKERS = "osD^vPX"


def score_against_cost(table: pd.DataFrame) -> Figure:
    """F1 with its interval against minutes of training (`comparison.compare_trainings`), a panel a test set.

    A colour a condition, a marker a system with its parameters; what was not trained here is a dotted line."""
    datasets, minutes = list(dict.fromkeys(table.dataset)), table["training minutes"]
    trained, others = table[minutes > 0], table[~(minutes > 0)]
    colours = dict(zip(trained.condition.unique(), sns.color_palette(), strict=False))
    markers = dict(zip(trained.system.unique(), MARKERS, strict=False))
    size = (3.6 * len(datasets) + 2, 3.6)
    figure, axes = plt.subplots(1, len(datasets), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for axis, dataset in zip(axes[0], datasets, strict=True):
        rows = trained[trained.dataset == dataset]
        for row, ends in zip(rows.itertuples(), np.nan_to_num(whiskers(rows, "f1")).T, strict=True):
            look = {"color": colours[row.condition], "marker": markers[row.system], "capsize": 2, "elinewidth": 1}
            axis.errorbar(minutes[row.Index], row.f1, yerr=ends[:, None], markersize=7, **look)
        for row in others[others.dataset == dataset].itertuples():
            axis.axhline(row.f1, color="0.5", linewidth=1, linestyle=":")
            axis.annotate(row.run, (1, row.f1), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8)
        axis.set(title=dataset, xlabel="minutes of training", ylim=(0, 1.03))
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
