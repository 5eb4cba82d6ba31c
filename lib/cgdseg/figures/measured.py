"""Figures of what benchmarks/ measured once: changes of F1 by variant, and what a step costs."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from cgdseg.figures.style import whiskers
from cgdseg.studies.anatomy.measured import CODE_FORMS


def changes(table: pd.DataFrame) -> Figure:
    """Change of F1 with its 95 % interval, a line a variant (`measured.transfer`; the baseline's row is left out)."""
    rows, judged = table[table.low.notna()].iloc[::-1], table.columns[1].removesuffix(" F1")
    figure, axis = plt.subplots(figsize=(7, 0.3 * len(rows) + 0.9), layout="constrained")
    axis.errorbar(rows.change, rows.variant, xerr=whiskers(rows, "change"), fmt="o", capsize=2, color="C0")
    axis.axvline(0, color="0.6", linewidth=1, linestyle=":")
    axis.set(xlabel=f"change of F1 on {judged}, with 95 % interval", ylabel="")
    sns.despine(ax=axis, left=True)
    return figure


def cost_curves(table: pd.DataFrame) -> Figure:
    """Time and memory of a step against batch size at one side, and against the side at one batch size."""
    table = table.assign(form=table.form.map(CODE_FORMS), seconds=table.ms / 1000, GiB=table.MiB / 1024)
    side, batch = table.side.mode()[0], table[table.side != table.side.mode()[0]].batch.iloc[0]
    figure, axes = plt.subplots(2, 2, figsize=(8.2, 5.2), sharex="col", layout="constrained")
    views = {"batch": table[table.side == side], "side": table[table.batch == batch].sort_values("side")}
    for line, unit in zip(axes, ("seconds", "GiB"), strict=True):
        for axis, (x, rows) in zip(line, views.items(), strict=True):
            looks = {"hue": "form", "style": "job", "markers": True, "legend": axis is axes[0, 1]}
            orders = {"hue_order": sorted(table.form.unique()), "style_order": sorted(table.job.unique())[::-1]}
            sns.lineplot(rows, x=x, y=unit, ax=axis, **looks, **orders)
            axis.set(ylim=(0, None), ylabel=f"{unit} a step" if unit == "seconds" else f"{unit}, most held")
    axes[1, 0].set_xlabel(f"images in a batch, {side}×{side} pixels")
    axes[1, 1].set_xlabel(f"side of the image in pixels, batches of {batch}")
    sns.move_legend(axes[0, 1], "upper left", bbox_to_anchor=(1, 1), frameon=False, title=None)
    return figure
