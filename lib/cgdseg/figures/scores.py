"""Figures of scores on test images."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from cgdseg.data.drawing import errors, outline
from cgdseg.figures.curves import RUN_MARKERS
from cgdseg.figures.style import gallery, panels, whiskers


def case_gallery(cases: list, per_row: int = 3) -> Figure:
    """Image and coloured errors of each `scores.cases.Case`, `per_row` cases of one dataset a row."""
    pairs: dict[str, list] = {}
    for case in cases:
        coloured = errors(case.image, case.predicted, case.truth)
        pair = [(case.title, case.image), (case.image_id.partition("/")[2], coloured)]
        pairs.setdefault(case.label, []).append(pair)
    rows = {}
    for label, same in pairs.items():
        for number, start in enumerate(range(0, len(same), per_row)):
            rows[label + number * " "] = sum(same[start : start + per_row], [])
    return gallery(rows)


def showcase(cases: list, borders: bool = True) -> Figure:
    """Each `scores.cases.Case`, a row a dataset; borders: the predicted one in green and the true one in white."""
    rows: dict[str, list] = {}
    for case in cases:
        drawn = case.image
        if borders:
            drawn = outline(outline(case.image, [case.truth], 1, [(255, 255, 255)]), [case.predicted], 2)
        rows.setdefault(case.label, []).append((case.title, drawn))
    return gallery(rows)


def score_dots(table: pd.DataFrame) -> Figure:
    """F1 with its 95 % interval, a panel a test set, a line a condition, a marker a system; seeds share a line."""
    conditions, systems = list(dict.fromkeys(table.condition)), list(dict.fromkeys(table.system))
    steps = 0.5 * (np.arange(len(systems)) - (len(systems) - 1) / 2) / len(systems)
    figure, rest = panels(table, height=0.3 * len(conditions) * max(2, len(systems)) + 1.3, wide=4.2)
    for axis, rows in rest:
        for number, system in enumerate(systems):
            own, marker = rows[rows.system == system], RUN_MARKERS[number % len(RUN_MARKERS)]
            places = own.condition.map(conditions.index) + steps[number]
            look = {"fmt": marker, "color": f"C{number}", "capsize": 2, "label": system}
            axis.errorbar(own.f1, places, xerr=whiskers(own, "f1"), **look)
            seeds = own.condition.duplicated().any()  # whose numbers would lie on each other
            for f1, high, place in [] if seeds else zip(own.f1, own.high, places, strict=True):
                end = (np.nanmax([f1, high]), place)
                axis.annotate(f"{f1:.3f}", end, (5, 0), textcoords="offset points", va="center", fontsize=8)
        axis.set(yticks=range(len(conditions)), yticklabels=conditions, xlabel="F1, mean over images")
        axis.set_ylim(len(conditions) - 0.5, -0.5)
        axis.margins(x=0.15)
        axis.grid(axis="y", visible=False)
        sns.despine(ax=axis, left=True)
    figure.axes[0].set_ylabel("trained on")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), frameon=False, loc="outside upper center", ncols=4)
    return figure


def release_picture(pictures: list[np.ndarray], photographs: pd.DataFrame) -> Figure:
    """The README's picture: `release.sample_pictures`, and beside them F1 on photographs (`photograph_scores`)."""
    figure = plt.figure(figsize=(12, 3.7), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[3, 1])
    for axis, picture in zip(left.subplots(2, len(pictures) // 2, squeeze=False).flat, pictures, strict=True):
        axis.imshow(picture)
        axis.axis("off")
    left.suptitle("rendered eyes that it never saw: sclera, iris and pupil", fontsize=10)
    axis = right.subplots()
    for place, name in enumerate(["model", "threshold", "ellipse"]):
        axis.scatter(photographs[name], np.full(len(photographs), -place), alpha=0.5, s=22)
        mean = photographs[name].mean()
        axis.plot(mean, -place, "|", color="0.15", markersize=22, markeredgewidth=2)
        axis.annotate(f"{mean:.2f}", (mean, -place + 0.3), ha="center", fontsize=9)
    names = ["this model", "threshold", "ellipse"]
    axis.set(yticks=[0, -1, -2], yticklabels=names, xlim=(0, 1), ylim=(-2.5, 0.6), xlabel="F1 of the sclera")
    axis.grid(axis="y", visible=False)
    right.suptitle(f"{len(photographs)} photo-like eyes, masks by hand", fontsize=10)
    return figure
