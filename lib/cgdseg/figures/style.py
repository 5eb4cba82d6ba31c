"""The look of all figures, and the two forms that every notebook needs: a gallery of pictures, horizontal bars."""

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


def bars(table: pd.DataFrame, x: str, y: str, title: str, unit: str, hue: str | None = None) -> Figure:
    """Horizontal bars with their values written at the end."""
    figure, axis = plt.subplots(figsize=(7, 0.34 * len(table) + 1), layout="constrained")
    sns.barplot(table, x=x, y=y, hue=hue, ax=axis, color=None if hue else "C0")
    for container in axis.containers:
        axis.bar_label(container, fmt=lambda v: f"{v:,.0f}" if v >= 100 else f"{v:.2g}", padding=3, fontsize=8)
    axis.set(title=title, xlabel=unit, ylabel="")
    axis.margins(x=0.15)
    sns.despine(ax=axis, left=True)
    return figure
