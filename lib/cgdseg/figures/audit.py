"""Figures of eyes before anyone trains on them: a manifest or an image in, a Figure out."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from cgdseg.config import Config, Dataset
from cgdseg.data.augment import SLIDES, apply_one
from cgdseg.data.copies import ALIKE, BITS, Calibration
from cgdseg.data.drawing import masks_of, outline
from cgdseg.data.images import read_image, read_labels, resize_image, resize_labels
from cgdseg.data.stored import by_dataset
from cgdseg.figures.style import gallery


def contact_sheet(manifest: pd.DataFrame, cfg: Config, n_columns: int = 6) -> Figure:
    """Random eyes of each dataset with their masks outlined, a row a dataset."""
    rows = {}
    for name, group in by_dataset(manifest, cfg):
        dataset, picked = cfg.datasets[name], group.sample(min(n_columns, len(group)), random_state=0)
        drawn = ((row.image_id.partition("/")[2], _outlined(dataset, row)) for row in picked.itertuples())
        rows[cfg.label(name)] = list(drawn)
    return gallery(rows)


def _outlined(dataset: Dataset, row, size: tuple[int, int] = (240, 320)) -> np.ndarray:
    image = resize_image(read_image(dataset.folder / row.image), size)
    labels = resize_labels(read_labels(dataset.folder / row.mask, dataset.colours), size)
    return outline(image, masks_of(labels), thickness=2)


def distributions(manifest: pd.DataFrame, label: Callable[[str], str]) -> Figure:
    """Densities of brightness, sharpness and share of sclera, a line a dataset, by its `label`."""
    table = manifest.assign(label=manifest.dataset.map(label), percent=100 * manifest.sclera)
    table["sharpness"] = np.log10(manifest.blur + 1)
    panels = {"brightness": "brightness (0-255)", "sharpness": "sharpness (log10)", "percent": "sclera (% of image)"}
    figure, axes = plt.subplots(1, len(panels), figsize=(11, 2.8), layout="constrained")
    for axis, (column, title) in zip(axes, panels.items(), strict=True):
        look = {"common_norm": False, "fill": True, "alpha": 0.2, "warn_singular": False, "legend": axis is axes[-1]}
        sns.kdeplot(table, x=column, hue="label", ax=axis, **look)
        axis.set(xlabel=title, ylabel="", yticks=[])
    sns.move_legend(axes[-1], "upper left", bbox_to_anchor=(1.02, 1), title="", frameon=False)
    return figure


def colour_scatter(manifest: pd.DataFrame, label: Callable[[str], str]) -> Figure:
    """Mean red-blue and red+blue-green balance of each image: how far apart the datasets' light is."""
    table = manifest.assign(
        label=manifest.dataset.map(label),
        warmth=manifest.red - manifest.blue,
        pinkness=(manifest.red + manifest.blue) / 2 - manifest.green,
    )
    figure, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
    sns.scatterplot(table, x="warmth", y="pinkness", hue="label", style="label", s=18, alpha=0.6, ax=axis)
    axis.set(xlabel="warmth: mean red - blue (0-255)", ylabel="pinkness: (red + blue) / 2 - green")
    sns.move_legend(axis, "upper left", bbox_to_anchor=(1.02, 1), title="", frameon=False)
    return figure


def copies_and_strangers(found: Calibration) -> Figure:
    """Bits between copies made for the purpose and between different people, with the radius; then the second look."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.6), layout="constrained")
    bins = np.arange(0, BITS + 1, 4)
    kinds = {True: ("copies, promised", "C0"), False: ("copies cut more", "C1")}
    for promised, rows in found.copies.groupby("promised", sort=False):
        name, colour = kinds[bool(promised)]
        shown = {"color": colour, "label": f"{name} ({len(rows):,})"}
        left.hist(rows.distance, bins, weights=np.full(len(rows), 100 / len(rows)), alpha=0.5, **shown)
        right.scatter(rows.distance, rows.alike, s=10, alpha=0.6, linewidths=0, color=colour)
    total = found.strangers.sum()
    look = {"weights": 100 * found.strangers / max(1, total), "color": "0.4", "alpha": 0.5}
    left.hist(np.arange(BITS + 1), bins, label=f"two people ({total:,})", **look)
    right.scatter(found.likest.distance, found.likest.alike, s=10, alpha=0.6, linewidths=0, color="0.3", marker="s")
    for axis in (left, right):
        axis.axvline(found.radius, color="0.15", linewidth=1, linestyle="--")
    left.annotate(f"radius {found.radius}", (found.radius, 0.9), (5, 0), ("data", "axes fraction"), "offset points")
    right.axhline(ALIKE, color="0.15", linewidth=1, linestyle="--")
    right.fill_between([0, found.radius], ALIKE, 1.03, color="C2", alpha=0.15, linewidth=0, zorder=0)
    right.annotate("↑ taken for one picture", (2, ALIKE), (0, -4), textcoords="offset points", va="top", fontsize=9)
    left.set(title="first look: all pairs", xlabel="bits apart, of 256", ylabel="% of pairs", xlim=(0, 150))
    right.set(title="second look: copies, and the likest of two people", xlabel="bits apart, of 256", xlim=(0, 150))
    right.set(ylabel="correlation, aligned", ylim=(min(0, found.copies.alike.min()) - 0.03, 1.03))
    figure.legend(*left.get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=3)
    return figure


def augmentations(image: np.ndarray, labels: np.ndarray, seed: int) -> Figure:
    """One eye, plain and under each transform of the slides, with its mask outlined."""
    pictures = [("as it is\n", outline(image, masks_of(labels)))]
    for name, transform in SLIDES.items():
        changed, moved = apply_one(name, image, labels, seed)
        pictures.append((f"{name}\np = {transform.p:.2f}", outline(changed, masks_of(moved))))
    return gallery({"": pictures[:6], " ": pictures[6:]})
