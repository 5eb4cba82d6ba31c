"""Figures of what happens inside a system and what it costs."""

from collections.abc import Sequence
from textwrap import wrap

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from cgdseg.figures.style import gallery
from cgdseg.studies.anatomy.upsampling import Example


def key_maps(image: np.ndarray, rows: dict[str, tuple[Sequence[str], np.ndarray]]) -> Figure:
    """The image, then a row a form: {form: (a name a key, maps (K, h, w))}, each map from its least to its most.

    A map that is the same everywhere stays of one colour."""
    pictures = {"": [("the image", image)]}
    for form, (names, maps) in rows.items():
        flat = np.ptp(maps, axis=(1, 2), keepdims=True) < 1e-6
        maps = np.where(flat, 0, maps)
        pictures[form] = [("\n".join(wrap(name, 20)), picture) for name, picture in zip(names, maps, strict=True)]
    return gallery(pictures, width=1.5)


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
