"""Figures of scores on test images."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cgdseg.pictures import errors, outline
from cgdseg.plots.style import gallery


def case_gallery(cases: list, per_row: int = 3) -> Figure:
    """Image and coloured errors of each `evaluation.Case`, `per_row` cases of one dataset a row."""
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
    """Each `evaluation.Case`, a row a dataset; borders: the predicted one in green and the true one in white."""
    rows: dict[str, list] = {}
    for case in cases:
        drawn = case.image
        if borders:
            drawn = outline(outline(case.image, [case.truth], 1, [(255, 255, 255)]), [case.predicted], 2)
        rows.setdefault(case.label, []).append((case.title, drawn))
    return gallery(rows)


def score_bars(table: pd.DataFrame, score: str = "f1") -> Figure:
    """F1 by dataset, a bar a run, with 95 % intervals (columns low and high)."""
    runs, datasets = list(dict.fromkeys(table.run)), list(dict.fromkeys(table.dataset))
    wide = max(5.5, 0.62 * len(runs) * len(datasets) + 2.5)
    figure, axis = plt.subplots(figsize=(wide, 3.6), layout="constrained")
    width = 0.8 / len(runs)
    for i, run in enumerate(runs):
        rows = table[table.run == run].set_index("dataset").reindex(datasets)
        x = np.arange(len(datasets)) + (i - (len(runs) - 1) / 2) * width
        whiskers = np.abs(rows[["low", "high"]].to_numpy().T - rows[score].to_numpy())
        axis.bar(x, rows[score], width * 0.92, yerr=whiskers, capsize=2, label=run, error_kw={"lw": 1, "ecolor": "0.3"})
        for place, value, high in zip(x, rows[score], rows.high, strict=True):
            if np.isfinite(value):
                axis.text(place, np.nanmax([value, high]) + 0.012, f"{value:.3f}", ha="center", fontsize=8)
    axis.set(xticks=np.arange(len(datasets)), xticklabels=datasets, ylabel="F1, mean over images", ylim=(0, 1.08))
    axis.grid(axis="x", visible=False)
    figure.legend(frameon=False, loc="outside upper center", ncols=3)
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
        axis.plot(photographs[name].mean(), -place, "|", color="0.15", markersize=22, markeredgewidth=2)
        axis.annotate(
            f"{photographs[name].mean():.2f}", (photographs[name].mean(), -place + 0.3), ha="center", fontsize=9
        )
    names = ["this model", "threshold", "ellipse"]
    axis.set(yticks=[0, -1, -2], yticklabels=names, xlim=(0, 1), ylim=(-2.5, 0.6), xlabel="F1 of the sclera")
    axis.grid(axis="y", visible=False)
    right.suptitle(f"{len(photographs)} photo-like eyes, masks by hand", fontsize=10)
    return figure
