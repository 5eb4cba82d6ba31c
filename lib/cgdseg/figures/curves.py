"""Curves of runs, a panel a test set: precision and recall, thresholds, reliability."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cgdseg.figures.style import name_lines, panels

FEWEST_PIXELS = 200  # pixels in a bin of a reliability diagram; below it the share found is noise
LINES, RUN_MARKERS = ["-", "--", ":", "-."], ["o", "s", "^", "D"]


def run_looks(runs: Iterable[str]) -> dict[str, dict]:
    """A colour a condition, a line and a marker a system, for names <system>-<condition> with or without -<seed>.

    Seeds look alike and share a label; a name without parts (a reference) is black and dash-dotted."""
    names = list(dict.fromkeys(runs))
    systems, conditions = (list(dict.fromkeys(n.split("-")[k] for n in names if "-" in n)) for k in (0, 1))
    colours, found = sns.color_palette("colorblind"), {}
    for name in names:
        if "-" not in name:
            found[name] = {"color": "0.15", "linestyle": (0, (5, 1, 1, 1)), "marker": "*", "label": name}
            continue
        system, condition, *_ = name.split("-")
        kind = systems.index(system) % len(LINES)
        found[name] = {
            "color": colours[conditions.index(condition) % len(colours)],
            "linestyle": LINES[kind],
            "marker": RUN_MARKERS[kind],
            "label": f"{system}-{condition}",
        }
    return found


def precision_recall(curves: pd.DataFrame, threshold: float) -> Figure:
    """Precision against recall of all pixels, a line a run with a dot at `threshold`; grey lines have the same F1."""
    figure, rest = panels(curves)
    style = run_looks(curves.run)
    for axis, table in rest:
        _equal_f1(axis)
        for name, rows in table.groupby("run", sort=False):
            at = (rows.threshold - threshold).abs().idxmin()
            rows = rows.reset_index(drop=True)
            line = {k: v for k, v in style[name].items() if k != "marker"}
            axis.plot(rows.recall, rows.precision, linewidth=1.5, **line)
            axis.plot(rows.recall[at], rows.precision[at], style[name]["marker"], color=line["color"], markersize=5)
        axis.set(xlabel="recall", xlim=(0, 1.01), ylim=(0, 1.01))
    figure.axes[0].set_ylabel("precision")
    return name_lines(figure)


def _equal_f1(axis: Axes) -> None:
    axis.grid(visible=False)
    for f1 in (0.2, 0.4, 0.6, 0.8, 0.9):
        recall = np.linspace(f1 / (2 - f1), 1, 60)
        axis.plot(recall, f1 * recall / (2 * recall - f1), color="0.85", linewidth=0.8, zorder=0)
        axis.annotate(f"{f1}", (f1, f1), fontsize=7, color="0.5", ha="center", va="center", zorder=0)


def threshold_sweep(table: pd.DataFrame, chosen: float) -> Figure:
    """Mean F1 against the threshold, a line a run; the threshold in use is dotted, a triangle marks the best one."""
    figure, rest = panels(table)
    style = run_looks(table.run)
    for axis, rows in rest:
        axis.axvline(chosen, color="0.6", linewidth=1, linestyle=":")
        for name, line in rows.groupby("run", sort=False):
            axis.plot(line.threshold, line.f1, **{k: v for k, v in style[name].items() if k != "marker"})
            best = line.loc[line.f1.idxmax()]
            axis.plot(best.threshold, best.f1, marker="v", color=style[name]["color"], markeredgecolor="0.2")
        axis.set(xlabel="threshold", ylim=(max(0, table.f1.min() - 0.02), 1))
    figure.axes[0].set_ylabel("F1, mean over images")
    return name_lines(figure)


def reliability(table: pd.DataFrame) -> Figure:
    """Share of sclera among pixels against the probability given to them, a line a run; the diagonal is ideal.

    `table`: `tables.reliability`."""
    figure, rest = panels(table)
    style = run_looks(table.run)
    for axis, bins in rest:
        axis.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle=":")
        for name, rows in bins[bins.pixels >= FEWEST_PIXELS].groupby("run", sort=False):
            axis.plot(rows.said, rows.found, markersize=3.5, linewidth=1.3, **style[name])
        axis.set(xlabel="probability of sclera", xlim=(0, 1), ylim=(0, 1))
    figure.axes[0].set_ylabel("share of sclera among these")
    return name_lines(figure)
