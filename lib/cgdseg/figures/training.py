"""Figures of a training: what it draws, and how it learns."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cgdseg.config import Training
from cgdseg.data.drawing import masks_of, outline
from cgdseg.figures.style import gallery


def entries(drawn: list[tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Training entries (`batches.first_entries`) in a row, with their masks outlined."""
    return gallery({"": [("", outline(image, masks_of(labels))) for image, labels in drawn]})


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
