"""Figures of what leakage is worth."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from cgdseg.figures.style import whiskers
from cgdseg.studies.phrasing import in_points

SIDE_LOOKS = {"honest": ("people kept apart", "C0", "o"), "published": ("as published", "C1", "D")}


def leakage(reported: pd.DataFrame) -> Figure:
    """F1 that each protocol would report, joined by a line, with 95 % intervals: a line a system and test set."""
    rows = reported.iloc[::-1]
    places = np.arange(len(rows))
    figure, axis = plt.subplots(figsize=(7.5, 0.62 * len(rows) + 1.4), layout="constrained")
    axis.hlines(places, rows["honest f1"], rows["published f1"], color="0.7", linewidth=3, zorder=1)
    for shift, (side, (name, colour, marker)) in zip((-0.12, 0.12), SIDE_LOOKS.items(), strict=True):
        ends = whiskers(rows, f"{side} f1", (f"{side} low", f"{side} high"))
        look = {"fmt": marker, "color": colour, "capsize": 2, "label": name, "zorder": 2}
        axis.errorbar(rows[f"{side} f1"], places + shift, xerr=ends, **look)
    right = np.fmax(rows["honest high"].fillna(0), rows["published high"].fillna(0))
    right = np.fmax(right, np.fmax(rows["honest f1"], rows["published f1"]))
    for place, end, row in zip(places, right, rows.itertuples(), strict=True):
        words = in_points(row.inflation, row.low, row.high)
        axis.annotate(words, (end, place), (7, 0), textcoords="offset points", va="center", fontsize=8)
    axis.set(yticks=places, yticklabels=[f"{row.system}\n{row.dataset}" for row in rows.itertuples()])
    axis.set(xlabel="F1, mean over images", ylim=(-0.6, max(1, len(rows)) - 0.4))
    axis.margins(x=0.05)
    low, high = axis.get_xlim()
    axis.set_xlim(low, high + 0.42 * (high - low))  # room for the words
    axis.set_xticks([tick for tick in axis.get_xticks() if low <= tick <= 1])
    axis.grid(axis="y", visible=False)
    figure.legend(frameon=False, loc="outside upper center", ncols=2)
    sns.despine(ax=axis, left=True)
    return figure
