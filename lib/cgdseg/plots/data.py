"""Figures of eyes before anyone trains on them: a manifest or an image in, a Figure out."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from cgdseg.config import Config, Dataset
from cgdseg.data.augment import SLIDES, apply_one
from cgdseg.data.images import read_image, read_labels, resize_image, resize_labels
from cgdseg.pictures import masks_of, outline
from cgdseg.plots.style import gallery
from cgdseg.tables import by_dataset


def contact_sheet(manifest: pd.DataFrame, cfg: Config, n_columns: int = 6) -> Figure:
    """Random eyes of each dataset with their masks outlined, a row a dataset."""
    rows = {}
    for name, group in by_dataset(manifest, cfg):
        dataset, picked = cfg.datasets[name], group.sample(min(n_columns, len(group)), random_state=0)
        rows[cfg.label(name)] = [
            (row.image_id.partition("/")[2], _outlined(dataset, row)) for row in picked.itertuples()
        ]
    return gallery(rows)


def _outlined(dataset: Dataset, row, size: tuple[int, int] = (240, 320)) -> np.ndarray:
    image = resize_image(read_image(dataset.folder / row.image), size)
    labels = resize_labels(read_labels(dataset.folder / row.mask, dataset.colours), size)
    return outline(image, masks_of(labels), thickness=2)


def distributions(manifest: pd.DataFrame, cfg: Config) -> Figure:
    """Densities of brightness, sharpness and share of sclera, a line a dataset."""
    table = manifest.assign(
        label=manifest.dataset.map(cfg.label), sharpness=np.log10(manifest.blur + 1), percent=100 * manifest.sclera
    )
    panels = {"brightness": "brightness (0-255)", "sharpness": "sharpness (log10)", "percent": "sclera (% of image)"}
    figure, axes = plt.subplots(1, len(panels), figsize=(11, 2.8), layout="constrained")
    for axis, (column, label) in zip(axes, panels.items(), strict=True):
        sns.kdeplot(
            table, x=column, hue="label", common_norm=False, fill=True, alpha=0.2, ax=axis, warn_singular=False,
            legend=axis is axes[-1],
        )  # fmt: skip
        axis.set(xlabel=label, ylabel="", yticks=[])
    sns.move_legend(axes[-1], "upper left", bbox_to_anchor=(1.02, 1), title="", frameon=False)
    return figure


def colour_scatter(manifest: pd.DataFrame, cfg: Config) -> Figure:
    """Mean red-blue and red+blue-green balance of each image: how far apart the datasets' light is."""
    table = manifest.assign(
        label=manifest.dataset.map(cfg.label),
        warmth=manifest.red - manifest.blue,
        pinkness=(manifest.red + manifest.blue) / 2 - manifest.green,
    )
    figure, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
    sns.scatterplot(table, x="warmth", y="pinkness", hue="label", style="label", s=18, alpha=0.6, ax=axis)
    axis.set(xlabel="warmth: mean red - blue (0-255)", ylabel="pinkness: (red + blue) / 2 - green")
    sns.move_legend(axis, "upper left", bbox_to_anchor=(1.02, 1), title="", frameon=False)
    return figure


def augmentations(image: np.ndarray, labels: np.ndarray, seed: int) -> Figure:
    """One eye, plain and under each transform of the slides, with its mask outlined."""
    pictures = [("as it is\n", outline(image, masks_of(labels)))]
    for name, transform in SLIDES.items():
        changed, moved = apply_one(name, image, labels, seed)
        pictures.append((f"{name}\np = {transform.p:.2f}", outline(changed, masks_of(moved))))
    return gallery({"": pictures[:6], " ": pictures[6:]})
