"""Figures of what is lost between domains."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure


def changes(table: pd.DataFrame) -> Figure:
    """Change of F1 with its 95 % interval, a line a variant (`tables.transfer`; the baseline's row is left out)."""
    rows, judged = table[table.low.notna()].iloc[::-1], table.columns[1].removesuffix(" F1")
    figure, axis = plt.subplots(figsize=(7, 0.3 * len(rows) + 0.9), layout="constrained")
    whiskers = np.abs(rows[["low", "high"]].to_numpy().T - rows.change.to_numpy())
    axis.errorbar(rows.change, rows.variant, xerr=whiskers, fmt="o", capsize=2, color="C0")
    axis.axvline(0, color="0.6", linewidth=1, linestyle=":")
    axis.set(xlabel=f"change of F1 on {judged}, with 95 % interval", ylabel="")
    sns.despine(ax=axis, left=True)
    return figure


def gap_chart(table: pd.DataFrame) -> Figure:
    """A line from validation to each test set, one a run: its slope is the domain gap."""
    order = list(dict.fromkeys(table.dataset))
    figure, axis = plt.subplots(figsize=(1.9 * len(order) + 1.5, 3.4), layout="constrained")
    for name, rows in table.groupby("run", sort=False):
        rows = rows.set_index("dataset").reindex(order)
        axis.plot(order, rows.f1, marker="o", label=name)
        axis.fill_between(order, rows.low, rows.high, alpha=0.12)
    axis.set(ylabel="F1, mean over images", ylim=(max(0, table.low.min() - 0.05), 1))
    axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def by_gaze(scores: pd.DataFrame) -> Figure:
    """F1 of every image by gaze, a panel a dataset, a colour a run."""
    named = scores.assign(gaze=scores.gaze.map({"l": "left", "r": "right", "s": "straight", "u": "up"}))
    grid = sns.catplot(
        named, x="gaze", y="f1", hue="run", col="label", kind="box", height=3, aspect=1.2, fliersize=2,
        order=["left", "straight", "right", "up"], linewidth=0.8,
    )  # fmt: skip
    grid.set_titles("{col_name}").set_axis_labels("gaze", "F1 of an image")
    grid.legend.set_title("")
    return grid.figure
