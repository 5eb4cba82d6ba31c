"""Every figure of the notebooks: tables or pictures in, a matplotlib Figure out; nothing is saved or shown here."""

from collections.abc import Sequence
from textwrap import wrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from cgdseg.artefacts import Example
from cgdseg.config import Config, Dataset, Training
from cgdseg.data.augment import SLIDES, apply_one
from cgdseg.data.images import read_image, read_labels, resize_image, resize_labels
from cgdseg.pictures import errors, masks_of, outline
from cgdseg.tables import FORMS, by_dataset

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
            axis.set_title(caption, fontsize=8, fontweight="normal", pad=2)
        if title:
            line[0].axis("on")
            line[0].set(xticks=[], yticks=[])
            line[0].set_ylabel(title, fontsize=9)
            sns.despine(ax=line[0], left=True, bottom=True)
    return figure


def key_maps(image: np.ndarray, rows: dict[str, tuple[Sequence[str], np.ndarray]]) -> Figure:
    """The image, then a row a form: {form: (a name a key, maps (K, h, w))}, each map from its least to its most.

    A map that is the same everywhere stays of one colour."""
    pictures = {"": [("the image", image)]}
    for form, (names, maps) in rows.items():
        flat = np.ptp(maps, axis=(1, 2), keepdims=True) < 1e-6
        maps = np.where(flat, 0, maps)
        pictures[form] = [("\n".join(wrap(name, 20)), picture) for name, picture in zip(names, maps, strict=True)]
    return gallery(pictures, width=1.5)


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


def case_gallery(cases: list) -> Figure:
    """Image and coloured errors of each `evaluation.Case`, a row a dataset."""
    rows: dict[str, list] = {}
    for case in cases:
        coloured = errors(case.image, case.predicted, case.truth)
        rows.setdefault(case.label, []).extend([(case.title, case.image), (case.image_id.partition("/")[2], coloured)])
    return gallery(rows)


def showcase(cases: list) -> Figure:
    """Each `evaluation.Case` with the predicted border in green and the true one in white, a row a dataset."""
    rows: dict[str, list] = {}
    for case in cases:
        drawn = outline(outline(case.image, [case.truth], 1, [(255, 255, 255)]), [case.predicted], 2)
        rows.setdefault(case.label, []).append((case.title, drawn))
    return gallery(rows)


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


def token_picture(features: np.ndarray) -> np.ndarray:
    """Features (C, h, w) -> their first three principal components as colours (h, w, 3) in [0, 1]."""
    channels, height, width = features.shape
    components = PCA(3).fit_transform(features.reshape(channels, -1).T)
    low, high = np.percentile(components, [2, 98], axis=0)
    return np.clip((components - low) / (high - low + 1e-9), 0, 1).reshape(height, width, 3)


def energy_picture(features: np.ndarray) -> np.ndarray:
    """Features (C, h, w) -> their length at each place (h, w)."""
    return np.linalg.norm(features, axis=0)


def stage_pictures(image: np.ndarray, outputs: dict) -> list[tuple[str, np.ndarray]]:
    """What `systems.trace` saw of CGDSeg on one image, as captioned pictures in order of the five stages."""

    def caption(name: str, features) -> str:
        return f"{name}\n{'×'.join(map(str, features.shape[1:]))}"

    pictures = [(f"image\n3×{image.shape[0]}×{image.shape[1]}", image)]
    for name, key in (("S1 patch tokens", "backbone"), ("S2 grounded", "grounding")):
        pictures.append((caption(name, outputs[key]), token_picture(outputs[key][0].numpy())))
    for i, level in enumerate(outputs["pyramid"]):
        pictures.append((caption(f"S3 pyramid f{i}", level), energy_picture(level[0].numpy())))
    for i in range(3):
        stage = outputs[f"decoder.{i}"]
        pictures.append((caption(f"S4 decoder {i + 1}", stage), energy_picture(stage[0].numpy())))
        gate = outputs[f"decoder.{i}.csse.spatial_gate"]
        pictures.append((caption(f"spatial gate {i + 1}", gate), gate[0, 0].numpy()))
    logits = outputs["head"]
    pictures.append((caption("S5 probability", logits), logits[0, 0].sigmoid().numpy()))
    return pictures


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


def training_curves(history: pd.DataFrame, settings: Training) -> Figure:
    """Loss, F1 and IoU, MAE and learning rate by epoch; the best epoch is marked."""
    best = history.loc[history.val_f1.idxmax()]
    figure, axes = plt.subplots(1, 4, figsize=(13, 2.9), layout="constrained")
    loss = f"loss ({settings.bce_weight:g} BCE + {settings.dice_weight:g} Dice)"
    panels = [
        (loss, {"train_loss": "training", "val_loss": "validation"}),
        ("score on validation", {"val_f1": "F1", "val_iou": "IoU"}),
        ("mean absolute error", {"val_mae": "validation"}),
        ("learning rate", {"lr": "all but LoRA"}),
    ]
    for axis, (title, lines) in zip(axes, panels, strict=True):
        for column, label in lines.items():
            axis.plot(history.epoch, history[column], marker="o", markersize=3, label=label)
        axis.axvline(best.epoch, color="0.6", linewidth=1, linestyle=":")
        axis.set(title=title, xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        if len(lines) > 1:
            axis.legend(frameon=False)
    return figure


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


def threshold_sweep(table: pd.DataFrame, chosen: float) -> Figure:
    """Mean F1 against the threshold, a panel a dataset, a line a run; the threshold in use is marked."""
    grid = sns.relplot(
        table, x="threshold", y="f1", hue="run", style="run", col="dataset", kind="line", height=2.8, aspect=1.15
    )
    for axis in grid.axes.flat:
        axis.axvline(chosen, color="0.6", linewidth=1, linestyle=":")
        best = table[table.dataset == axis.get_title().removeprefix("dataset = ")].groupby("run").f1.idxmax()
        for row in table.loc[best].itertuples():
            axis.plot(row.threshold, row.f1, marker="v", color="0.25", markersize=5)
    grid.set_titles("{col_name}").set_axis_labels("threshold", "F1, mean over images")
    grid.legend.set_title("")
    return grid.figure


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


def changes(table: pd.DataFrame) -> Figure:
    """Change of F1 with its 95 % interval, a line a variant (`tables.transfer`; the baseline's row is left out)."""
    rows, judged = table[table.low.notna()].iloc[::-1], table.columns[1].removesuffix(" F1")
    figure, axis = plt.subplots(figsize=(7, 0.3 * len(rows) + 0.9), layout="constrained")
    whiskers = np.abs(rows[["low", "high"]].to_numpy().T - rows.change.to_numpy())
    axis.errorbar(rows.change, rows.variant, xerr=whiskers, fmt="o", capsize=2, color="C0")
    axis.axvline(0, color="0.6", linewidth=1, linestyle=":")
    axis.set(xlabel=f"change of F1 on {judged}, with 95 % interval", ylabel="")
    sns.despine(ax=axis, left=True)
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
            sns.lineplot(rows, x=x, y=unit, ax=axis, **looks)
            axis.set(ylim=(0, None), ylabel=f"{unit} a step" if unit == "seconds" else f"{unit}, most held")
    axes[1, 0].set_xlabel(f"images in a batch, {side}×{side} pixels")
    axes[1, 1].set_xlabel(f"side of the image in pixels, batches of {batch}")
    sns.move_legend(axes[0, 1], "upper left", bbox_to_anchor=(1, 1), frameon=False, title=None)
    return figure


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


def reliability(table: pd.DataFrame) -> Figure:
    """Share of sclera among pixels against the probability given to them, a line a dataset; the diagonal is ideal."""
    figure, axis = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
    axis.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle=":")
    for name, rows in table.groupby("dataset", sort=False):
        axis.plot(rows.said, rows.found, marker="o", markersize=4, label=f"{name} (error {rows.error.iloc[0]:.3f})")
    axis.set(xlabel="probability of sclera", ylabel="share of sclera among these pixels", xlim=(0, 1), ylim=(0, 1))
    axis.legend(frameon=False, fontsize=8)
    return figure


def gap_chart(table: pd.DataFrame) -> Figure:
    """A line from validation to each test set, one a run: its slope is the domain gap."""
    order = list(dict.fromkeys(table.dataset))
    figure, axis = plt.subplots(figsize=(1.9 * len(order) + 1.5, 3.4), layout="constrained")
    for name, rows in table.groupby("run", sort=False):
        rows = rows.set_index("dataset").reindex(order)
        axis.plot(order, rows.f1, marker="o", label=name)
        axis.fill_between(order, rows.low, rows.high, alpha=0.12)
    axis.set(ylabel="F1, mean over images", ylim=(max(0, table.low.min() - 0.05), 1))
    axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def by_gaze(scores: pd.DataFrame) -> Figure:
    """F1 of every image by gaze, a panel a dataset, a colour a run."""
    named = scores.assign(gaze=scores.gaze.map({"l": "left", "r": "right", "s": "straight", "u": "up"}))
    grid = sns.catplot(
        named, x="gaze", y="f1", hue="run", col="label", kind="box", height=3, aspect=1.2, fliersize=2,
        order=["left", "straight", "right", "up"], linewidth=0.8,
    )  # fmt: skip
    grid.set_titles("{col_name}").set_axis_labels("gaze", "F1 of an image")
    grid.legend.set_title("")
    return grid.figure
