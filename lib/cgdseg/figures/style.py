"""The look of all figures, and the forms that several need: galleries, panels, one legend for them, bars, whiskers."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

sns.set_theme(context="notebook", style="whitegrid", palette="colorblind", font_scale=0.9)
plt.rcParams.update({"figure.dpi": 110, "axes.titlesize": "medium", "axes.titleweight": "bold"})


def gallery(rows: dict[str, list[tuple[str, np.ndarray]]], width: float = 1.7) -> Figure:
    """Rows of captioned pictures: {row title: [(caption, (H, W, 3) or (H, W)), ...]}."""
    n_columns = max(map(len, rows.values()))
    height, wide = next(iter(rows.values()))[0][1].shape[:2]
    size = (width * n_columns, (width * height / wide + 0.3) * len(rows))
    figure, axes = plt.subplots(len(rows), n_columns, figsize=size, squeeze=False, layout="constrained")
    for line, (title, pictures) in zip(axes, rows.items(), strict=True):
        for axis in line:
            axis.axis("off")
        for axis, (caption, picture) in zip(line, pictures, strict=False):
            axis.imshow(picture, cmap="magma", aspect="auto" if picture.ndim == 2 else "equal")
            axis.set_title(caption, fontsize=8, fontweight="normal", pad=2, parse_math=False)  # a file's name
        if title:
            line[0].axis("on")
            line[0].set(xticks=[], yticks=[])
            line[0].set_ylabel(title, fontsize=9, parse_math=False)
            sns.despine(ax=line[0], left=True, bottom=True)
    return figure


def panels(table: pd.DataFrame, height: float = 3.1, wide: float = 3.5) -> tuple[Figure, Iterator]:
    """A figure with a panel a dataset, and (axis, rows of the table) of each; they share their axes."""
    groups = list(table.groupby("dataset", sort=False))
    shared = {"sharex": True, "sharey": True, "figsize": (wide * len(groups) + 1.6, height)}
    figure, axes = plt.subplots(1, len(groups), squeeze=False, layout="constrained", **shared)
    for axis, (name, _) in zip(axes[0], groups, strict=True):
        axis.set_title(name)
    return figure, zip(axes[0], (rows for _, rows in groups), strict=True)


def name_lines(figure: Figure) -> Figure:
    """One legend beside the panels, each label once."""
    named = {}
    for axis in figure.axes:
        handles, labels = axis.get_legend_handles_labels()
        named |= dict(zip(labels, handles, strict=True))
    figure.legend(named.values(), named.keys(), frameon=False, loc="outside right center", fontsize=8, handlelength=2.8)
    return figure


def whiskers(rows: pd.DataFrame, middle: str, ends: tuple[str, str] = ("low", "high")) -> np.ndarray:
    """How far the ends of intervals lie from their middles: (2, N), for errorbar."""
    return np.abs(rows[list(ends)].to_numpy().T - rows[middle].to_numpy())


def bars(table: pd.DataFrame, x: str, y: str, title: str, unit: str) -> Figure:
    """Horizontal bars with their values written at the end."""
    figure, axis = plt.subplots(figsize=(7, 0.34 * len(table) + 1), layout="constrained")
    sns.barplot(table, x=x, y=y, ax=axis, color="C0")
    for container in axis.containers:
        axis.bar_label(container, fmt=lambda v: f"{v:,.0f}" if v >= 100 else f"{v:.2g}", padding=3, fontsize=8)
    axis.set(title=title, xlabel=unit, ylabel="")
    axis.margins(x=0.15)
    sns.despine(ax=axis, left=True)
    return figure
