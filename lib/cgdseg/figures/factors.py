"""What scores depend on: people, eye, gaze, size of the sclera, light and sharpness; and differences between runs."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cgdseg.figures.curves import run_looks
from cgdseg.figures.style import name_lines, whiskers
from cgdseg.scoring.statistics import subject_means
from cgdseg.studies.scores.tables import GAZE_NAMES

EYE_NAMES = {"L": "left", "R": "right"}
MEASURE_NAMES = {"sclera": "share of sclera", "brightness": "brightness (0–255)", "blur": "sharpness"}
N_BINS = 5  # of equally many images each


def differences(table: pd.DataFrame) -> Figure:
    """Mean difference of F1 with its interval, a line a pair of runs, a colour a dataset.

    `table`: `scores.tables.differences`, whose first dataset is drawn in black if it is all of them."""
    pairs = [f"{b} − {a}" for a, b in zip(table["first"], table.second, strict=True)]
    order = {pair: -i for i, pair in enumerate(dict.fromkeys(pairs))}
    sets = list(dict.fromkeys(table.dataset))
    figure, axis = plt.subplots(figsize=(7.5, 0.42 * len(order) + 1.1), layout="constrained")
    for k, name in enumerate(sets):
        chosen = (table.dataset == name).to_numpy()
        rows, shift = table[chosen], (k - (len(sets) - 1) / 2) * 0.22
        places = [order[pair] - shift for pair, mine in zip(pairs, chosen, strict=True) if mine]
        look = {"fmt": "oDs^v"[k % 5], "color": "0.15" if len(sets) > 1 and k == 0 else f"C{max(k - 1, 0)}"}
        ends = whiskers(rows, "change")
        axis.errorbar(rows.change, places, xerr=ends, markersize=4, capsize=2, label=name, **look)
    axis.axvline(0, color="0.6", linewidth=1, linestyle=":")
    axis.set(yticks=list(order.values()), yticklabels=list(order), xlabel="difference of F1, with 95 % interval")
    sns.despine(ax=axis, left=True)
    figure.legend(frameon=False, loc="outside upper center", ncols=len(sets), fontsize=8)
    return figure


def people(table: pd.DataFrame, chosen: str) -> Figure:
    """Mean F1 of every person, the hardest for run `chosen` on the left, whose intervals are drawn; others are dots.

    `table`: `scores.tables.people`."""
    sets, style = list(dict.fromkeys(table.dataset)), run_looks(table.run)
    most = table.groupby("dataset").person.nunique().max()
    size = (len(sets) * np.clip(0.3 * most, 3.2, 7) + 1.8, 3.2)
    figure, axes = plt.subplots(1, len(sets), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for axis, name in zip(axes[0], sets, strict=True):
        rows = table[table.dataset == name]
        best = rows[rows.run == chosen].sort_values("f1")
        place = {person: x for x, person in enumerate(best.person)}
        for run, others in rows[rows.run != chosen].groupby("run", sort=False):
            look = {k: v for k, v in style[run].items() if k != "linestyle"}
            axis.plot(others.person.map(place), others.f1, linestyle="", markersize=3.5, alpha=0.55, **look)
        look = {"markersize": 6, "capsize": 2, **style[chosen], "linestyle": "", "markeredgecolor": "0.1"}
        axis.errorbar(range(len(best)), best.f1, yerr=whiskers(best, "f1"), **look)
        names = list(place) if len(place) <= 20 else []
        axis.set(title=name, xlabel="person, the hardest first", xticks=range(len(names)), xticklabels=names)
        axis.set_ylim(max(0, table.f1.min() - 0.05), 1.01)
        axis.grid(axis="x", visible=False)
    axes[0, 0].set_ylabel("F1, mean over a person's images")
    return name_lines(figure)


def factors(test: pd.DataFrame, chosen: str) -> Figure:
    """F1 against eye, gaze, share of sclera, brightness and sharpness, a row each; a column a test set, a line a run.

    `test`: test rows of a table of scores. Images and intervals are those of run `chosen`; lines join means, over
    images of one eye or gaze, or over N_BINS equally large groups of images in the order of the measure."""
    sets, style = list(dict.fromkeys(test.label)), run_looks(test.run)
    columns = {"eye": EYE_NAMES, "gaze": GAZE_NAMES} | MEASURE_NAMES
    size, options = (3.6 * len(sets) + 1.7, 1.9 * len(columns)), {"squeeze": False, "layout": "constrained"}
    figure, axes = plt.subplots(len(columns), len(sets), figsize=size, sharey="col", **options)
    for k, label in enumerate(sets):
        rows = test[test.label == label]
        for axis, (column, words) in zip(axes[:, k], columns.items(), strict=True):
            if isinstance(words, dict):
                places = _named(axis, rows, column, words)
            else:
                places = _grouped(rows, column)
                axis.set(xlabel=words)
                if column == "blur":
                    _logarithmic(axis, places.x)
            _draw(axis, places, chosen, style)
            if places.empty:
                axis.text(0.5, 0.5, "not told", transform=axis.transAxes, ha="center", color="0.5")
        axes[0, k].set(title=label, ylim=(max(0, rows.groupby("run").f1.mean().min() - 0.25), 1.01))
    figure.supylabel("F1 of an image", fontsize="medium")
    return name_lines(figure)


def _logarithmic(axis: Axes, values: pd.Series, n: int = 4) -> None:
    """A scale of factors with n labels; matplotlib's own run into each other within less than two decades."""
    axis.set_xscale("log")
    known = values[values > 0]
    ticks = np.unique([float(f"{x:.2g}") for x in np.geomspace(known.min(), known.max(), n)]) if len(known) else []
    axis.set_xticks(ticks, [f"{x:g}" for x in ticks])
    axis.minorticks_off()


def _named(axis: Axes, rows: pd.DataFrame, column: str, words: dict[str, str]) -> pd.DataFrame:
    """Images at a place for each eye or gaze that is told."""
    known = rows[rows[column].isin(list(words))]
    order = [value for value in words if (known[column] == value).any()]
    axis.set(xticks=range(len(order)), xticklabels=[words[value] for value in order], xlabel=column)
    axis.set_xlim(-0.5, max(len(order) - 0.5, 0.5))
    return known.assign(x=known[column].map({value: x for x, value in enumerate(order)}), group=known[column])


def _grouped(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Images in N_BINS groups by a measure; the same groups for every run."""
    values = rows.drop_duplicates("image_id").set_index("image_id")[column]
    groups = pd.qcut(values.rank(method="first"), min(N_BINS, len(values)), labels=False)
    return rows.assign(x=rows[column].astype(float), group=rows.image_id.map(groups))


def _draw(axis: Axes, places: pd.DataFrame, chosen: str, style: dict[str, dict]) -> None:
    """Images of one run as dots, its means with intervals, and the means of the others, at column x by group."""
    for run, rows in places.groupby("run", sort=False):
        means = rows.groupby("group").agg(x=("x", "mean"), f1=("f1", "mean")).sort_values("x")
        look = {k: v for k, v in style[run].items() if k != "marker"}
        if run != chosen:
            axis.plot(means.x, means.f1, linewidth=1, alpha=0.7, **look)
            continue
        means = subject_means(rows, ["group"]).set_index("group").join(means.x).sort_values("x")
        axis.plot(rows.x, rows.f1, ".", color="0.5", markersize=3, alpha=0.45, zorder=0)
        look |= {"linewidth": 2, "capsize": 2, "marker": "o", "markersize": 4}
        axis.errorbar(means.x, means.f1, yerr=whiskers(means, "f1"), **look)
