"""Figures of what is lost between domains: how far apart they are, what the gap consists of, what closes it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from cgdseg.figures.style import name_lines, panels, whiskers


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


def feature_map(axes: np.ndarray, labels: np.ndarray) -> Figure:
    """Images on two axes (N, 2), coloured by dataset (N,); the large marks are means."""
    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    for colour, marker, label in zip(sns.color_palette("colorblind"), "o^sDPX", dict.fromkeys(labels), strict=False):
        x, y = axes[labels == label].T
        axis.scatter(x, y, s=16, alpha=0.5, color=colour, marker=marker, linewidth=0, label=label)
        axis.scatter(x.mean(), y.mean(), s=150, color=colour, marker=marker, edgecolor="0.1", linewidth=1.2)
    axis.set(xlabel="first principal axis", ylabel="second principal axis")
    axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def factor_bars(table: pd.DataFrame) -> Figure:
    """Points of F1 that each factor explains, a panel a test set (`attribution.points_of` with `dataset`)."""
    figure, rest = panels(table, height=3.6, wide=4.4)
    for axis, rows in rest:
        rows = rows.iloc[::-1].reset_index(drop=True)
        whole = rows.factor.isin(["explained", "unexplained", "gap"])
        look = {"color": np.where(whole, "0.6", sns.color_palette("colorblind").as_hex()[0])}
        look |= {"xerr": 100 * whiskers(rows, "points"), "error_kw": {"lw": 1, "ecolor": "0.25"}}
        axis.barh(rows.factor, 100 * rows.points, **look)
        axis.axvline(0, color="0.3", linewidth=0.8)
        axis.axhline(whole.sum() - 0.5, color="0.6", linewidth=0.8, linestyle=":")
        axis.set(xlabel="points of F1 lost, with 95 % interval")
        axis.grid(axis="y", visible=False)
        sns.despine(ax=axis, left=True)
    return figure


def true_and_estimated(table: pd.DataFrame) -> Figure:
    """Points of F1 that each part truly costs, and what was estimated, a panel a test set (`known.true_parts`)."""
    figure, rest = panels(table, height=3.3, wide=4.0)
    palette = sns.color_palette("colorblind")
    sides = {"true": ("points", ("low", "high"), "o", "0.15")}
    sides |= {"estimated": ("estimated", ("estimated low", "estimated high"), "s", palette[0])}
    for axis, rows in rest:
        places = np.arange(len(rows))[::-1]
        for shift, (name, (middle, ends, marker, colour)) in zip((0.14, -0.14), sides.items(), strict=True):
            look = {"fmt": marker, "color": colour, "markersize": 5, "capsize": 2, "label": name}
            axis.errorbar(100 * rows[middle], places + shift, xerr=100 * whiskers(rows, middle, ends), **look)
        axis.axvline(0, color="0.3", linewidth=0.8)
        axis.axhline(1.5, color="0.6", linewidth=0.8, linestyle=":")
        axis.set(yticks=places, yticklabels=rows.part, xlabel="points of F1 lost, with 95 % interval")
        axis.grid(axis="y", visible=False)
        sns.despine(ax=axis, left=True)
    return name_lines(figure)


def blame(table: pd.DataFrame) -> Figure:
    """Points blamed on each factor (columns) where one factor was changed (rows), from `known.known_gaps`."""
    grid = 100 * table.pivot(index="changed", columns="factor", values="points")
    order = [name for name in dict.fromkeys(table.factor) if name != "explained"]
    grid = grid.loc[list(dict.fromkeys(table.changed)), order].round(1) + 0.0  # no minus before a zero
    figure, axis = plt.subplots(figsize=(7.6, 0.42 * len(grid) + 1.3), layout="constrained")
    limit = max(1.0, np.nanmax(np.abs(grid.to_numpy())))
    look = {"cmap": "vlag", "vmin": -limit, "vmax": limit, "linewidths": 1, "cbar": False}
    sns.heatmap(grid, ax=axis, annot=True, fmt=".1f", annot_kws={"fontsize": 8}, **look)
    axis.axvline(len(order) - 2, color="0.2", linewidth=1)
    axis.set(xlabel="points of F1 blamed on", ylabel="changed")
    axis.set_xticks(axis.get_xticks(), order, rotation=35, ha="right", rotation_mode="anchor")
    axis.tick_params(axis="y", rotation=0)
    return figure


LOOKS_AT = {"nothing of the target": 0, "target images": 1, "target labels": 2}  # place in the palette


def remedies_and_people(remedies: pd.DataFrame, ladder: pd.DataFrame) -> Figure:
    """A row a test set: F1 under each remedy (`remedies.remedy_changes`), and against the real people trained on
    (`ladder.summary`), on one scale; the dotted line is the run as it is."""
    datasets = list(dict.fromkeys(remedies.dataset))
    shared = {"sharey": "row", "sharex": "col", "figsize": (9.6, 2.5 * len(datasets) + 2)}
    figure, axes = plt.subplots(len(datasets), 2, squeeze=False, width_ratios=[1.25, 1], layout="constrained", **shared)
    palette = sns.color_palette("colorblind")
    for (left, right), name in zip(axes, datasets, strict=True):
        rows, line = remedies[remedies.dataset == name], ladder[ladder.dataset == name]
        rows = rows.sort_values("looks_at", key=lambda column: column.map(LOOKS_AT), kind="stable")
        base = rows[rows.remedy == "none"].f1.iloc[0]
        tried = rows[rows.remedy != "none"]
        for place, (row, ends) in enumerate(zip(tried.itertuples(), whiskers(tried, "change").T, strict=True)):
            colour = palette[LOOKS_AT[row.looks_at]]
            left.errorbar(place, row.f1, yerr=ends[:, None], fmt="o", capsize=2, color=colour, markersize=5)
        left.set_xticks(range(len(tried)), tried.remedy, rotation=40, ha="right", rotation_mode="anchor", fontsize=8)
        places = {k: place for place, k in enumerate(sorted(line.people.unique()))}
        means = line.groupby("people").f1.mean()
        right.plot([places[k] for k in means.index], means, color=palette[2], marker="o")
        bounds = line.drop_duplicates("people").set_index("people").loc[means.index]
        right.fill_between([places[k] for k in means.index], bounds.low, bounds.high, color=palette[2], alpha=0.15)
        right.scatter(line.people.map(places), line.f1, s=12, color="0.25", zorder=3)
        right.set_xticks(list(places.values()), list(places))
        for axis in (left, right):
            axis.axhline(base, color="0.4", linewidth=1, linestyle=":")
            sns.despine(ax=axis)
        left.set(ylabel=f"F1 on {name}")
    axes[-1, 1].set_xlabel("real people in training; dots are seeds")
    handles = [plt.Line2D([], [], color=palette[i], marker="o", linestyle="", label=n) for n, i in LOOKS_AT.items()]
    figure.legend(handles=handles, frameon=False, loc="outside upper center", ncols=3, title="looks at")
    return figure
