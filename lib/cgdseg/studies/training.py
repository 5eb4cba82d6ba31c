"""One training to read: what it trains on, its epochs, its speed, and where it stands."""

import pandas as pd

from cgdseg.config import Config, Run
from cgdseg.data.stored import load_splits, select_ids


def run_parts(cfg: Config, run: Run) -> pd.DataFrame:
    """What one run trains on, validates on and is tested on: distinct images, and entries an epoch, by dataset."""
    rows, streamed = [], cfg.streamed(run)
    splits = load_splits(cfg)
    splits = splits[(splits.protocol == cfg.protocol(run.condition)) & (splits.condition == run.condition)]
    for part in [part for part in ("train", "val", "test") if (splits.part == part).any()]:
        if part == "train" and streamed:
            images = streamed * cfg.training.epochs  # no eye is drawn twice
            rows.append({"part": part, "dataset": "rendered afresh", "images": images, "entries": streamed})
            continue
        ids = pd.Series(select_ids(splits, cfg, run.condition, part))
        for name, group in ids.groupby(ids.str.split("/").str[0]):
            rows.append({"part": part, "dataset": cfg.label(name), "images": group.nunique(), "entries": len(group)})
    return pd.DataFrame(rows)


def read_steps(cfg: Config, run: Run, parts: pd.DataFrame) -> str:
    """How many optimiser steps the training takes on how many images, from `run_parts`."""
    settings, entries = cfg.training, int(parts.entries[parts.part == "train"].sum())
    batches = (settings.drawn or entries) // min(settings.batch_size, settings.drawn or entries)
    steps = -(-batches // settings.accumulate)
    drawn = f"{settings.epochs} × {steps:,} = {settings.epochs * steps:,} optimiser steps"
    why = "as every condition of this config" if settings.steps else "as many as its entries make"
    return (
        f"{run.name} takes {drawn}, {why}, and sees {settings.epochs * batches * settings.batch_size:,} images, "
        f"{settings.epochs * batches * settings.batch_size / entries:.3g} times its {entries:,} entries."
    )


def epochs(history: pd.DataFrame, n_rows: int = 10) -> pd.DataFrame:
    """The slides' epoch table: chosen epochs, the last and the best, which a star marks."""
    best = history.val_f1.idxmax()
    step = max(1, len(history) // n_rows)
    chosen = sorted({0, *range(step - 1, len(history), step), best, len(history) - 1})
    names = {"epoch": "epoch", "val_f1": "F1", "val_iou": "IoU", "val_f1_pooled": "pooled F1", "val_loss": "loss"}
    names |= {"val_mae": "MAE", "train_loss": "training loss", "lr": "learning rate after"}
    table = history.loc[chosen, list(names)].rename(columns=names).reset_index(drop=True)
    table.insert(1, "best", ["★" if row == best else "" for row in chosen])
    return table


def speed(history: pd.DataFrame) -> pd.DataFrame:
    """Optimiser steps, images seen, seconds an epoch and milliseconds an image, validation included."""
    seconds, images = history.seconds.median(), history.images.median()
    row = {"epochs": len(history), "steps": history.steps.sum(), "images seen": history.images.sum()}
    row |= {"seconds an epoch": seconds, "ms an image": 1000 * seconds / images}
    return pd.DataFrame([row | {"minutes in all": history.seconds.sum() / 60}])


def read_training(history: pd.DataFrame) -> str:
    """Two sentences on a training: where it stands and whether more epochs might help."""
    best, last = history.loc[history.val_f1.idxmax()], history.iloc[-1]
    text = f"The best epoch is {best.epoch:.0f} of {len(history)}, with a validation F1 of {best.val_f1:.4f}. "
    if len(history) < 4:
        return text + "So few epochs only prove that the code runs."
    gain = last.val_f1 - history.val_f1.iloc[-max(2, len(history) // 4) - 1]
    trend = "rose" if gain > 0.003 else "fell" if gain < -0.003 else "stayed where it was"
    return text + f"Over the last quarter of the epochs F1 {trend} ({gain:+.4f})."
