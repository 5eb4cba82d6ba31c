"""Figures of what happens inside a system and what it costs."""

from collections.abc import Sequence
from textwrap import wrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from cgdseg.artefacts import Example
from cgdseg.plots.style import gallery
from cgdseg.tables import FORMS


def key_maps(image: np.ndarray, rows: dict[str, tuple[Sequence[str], np.ndarray]]) -> Figure:
    """The image, then a row a form: {form: (a name a key, maps (K, h, w))}, each map from its least to its most.

    A map that is the same everywhere stays of one colour."""
    pictures = {"": [("the image", image)]}
    for form, (names, maps) in rows.items():
        flat = np.ptp(maps, axis=(1, 2), keepdims=True) < 1e-6
        maps = np.where(flat, 0, maps)
        pictures[form] = [("\n".join(wrap(name, 20)), picture) for name, picture in zip(names, maps, strict=True)]
    return gallery(pictures, width=1.5)


def token_picture(features: np.ndarray) -> np.ndarray:
    """Features (C, h, w) -> their first three principal components as colours (h, w, 3) in [0, 1]."""
    channels, height, width = features.shape
    components = PCA(3).fit_transform(features.reshape(channels, -1).T)
    low, high = np.percentile(components, [2, 98], axis=0)
    return np.clip((components - low) / (high - low + 1e-9), 0, 1).reshape(height, width, 3)


def energy_picture(features: np.ndarray) -> np.ndarray:
    """Features (C, h, w) -> their length at each place (h, w)."""
    return np.linalg.norm(features, axis=0)


def stage_features(outputs: dict) -> dict[str, np.ndarray]:
    """What `systems.trace` saw of CGDSeg on one image, in order of the five stages: name -> features (C, h, w)."""
    found = {"S1 patch tokens": outputs["backbone"], "S2 grounded": outputs["grounding"]}
    found |= {f"S3 pyramid f{i}": level for i, level in enumerate(outputs["pyramid"])}
    for i in range(3):
        found[f"S4 decoder {i + 1}"] = outputs[f"decoder.{i}"]
        found[f"spatial gate {i + 1}"] = outputs[f"decoder.{i}.csse.spatial_gate"]
    found["S5 probability"] = outputs["head"].sigmoid()
    return {name: features[0].numpy() for name, features in found.items()}


def stage_pictures(image: np.ndarray, outputs: dict) -> list[tuple[str, np.ndarray]]:
    """`stage_features` as captioned pictures, after the image (H, W, 3) itself."""
    pictures = [(f"image\n3×{image.shape[0]}×{image.shape[1]}", image)]
    for name, features in stage_features(outputs).items():
        if name.startswith(("S1", "S2")):
            picture = token_picture(features)
        else:
            picture = features[0] if name.startswith(("spatial", "S5")) else energy_picture(features)
        pictures.append((f"{name}\n{'×'.join(map(str, features.shape))}", picture))
    return pictures


def artefacts(examples: list[Example], window: int = 32, floor: float = -60) -> Figure:
    """A column an upsampler: its response to smooth noise (a window of pixels), and its mean spectrum in decibels."""
    size = (1.55 * len(examples) + 0.8, 3.9)
    figure, axes = plt.subplots(2, len(examples), figsize=size, squeeze=False, layout="constrained")
    for (above, below), example in zip(axes.T, examples, strict=True):
        part = example.response[:window, :window]
        above.imshow(part, cmap="magma")
        above.set_title(f"{example.kind}\n{example.checkerboard:.2f}", fontsize=9)
        above.set(xticks=[], yticks=[])
        decibels = 10 * np.log10(example.spectrum / example.spectrum.max() + 1e-12)
        shown = below.imshow(decibels, cmap="magma", vmin=floor, vmax=0, extent=(-0.5, 0.5, 0.5, -0.5))
        below.set(xticks=[-0.5, 0, 0.5], xticklabels=["−½", "0", "½"], yticks=[])
        below.grid(visible=False)
    axes[0, 0].set_ylabel("response", fontsize=9)
    axes[1, 0].set_ylabel("spectrum", fontsize=9)
    figure.supxlabel("periods a pixel", fontsize=9)
    figure.colorbar(shown, ax=axes[1], label="dB", fraction=0.02, pad=0.01)
    return figure


def cost_curves(table: pd.DataFrame) -> Figure:
    """Time and memory of a step against batch size at one side, and against the side at one batch size."""
    table = table.assign(form=table.form.map(FORMS), seconds=table.ms / 1000, GiB=table.MiB / 1024)
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
