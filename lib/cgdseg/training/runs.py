"""Finished trainings: their folders, histories and cards, and the segmenter that each became."""

import json
from pathlib import Path

import pandas as pd

from cgdseg import paths
from cgdseg.config import Config, Run
from cgdseg.files import write_atomic
from cgdseg.models.predictor import Segmenter, load_segmenter
from cgdseg.models.weights import read_run
from cgdseg.training.resume import HISTORY, read_history


def trained_runs(cfg: Config) -> list[Run]:
    """The config's runs that notebook 03 has finished; FileNotFoundError when there is none."""
    found = [run for run in cfg.runs() if paths.run_card(cfg.name, run.name).exists()]
    if not found:
        paths.require(paths.run_card(cfg.name, cfg.runs()[0].name), "03_training")
    return found


def segmenter_of(cfg: Config, run: Run, device: str | None = None) -> Segmenter:
    """The trained system of a run, found through its run card."""
    card = json.loads(paths.require(paths.run_card(cfg.name, run.name), "03_training").read_text())
    folder = paths.run_dir(card["run_id"])
    made = read_run(folder)
    if made is None or made["weights_sha256"] != card["weights_sha256"]:
        raise ValueError(f"{paths.short(folder)} is not what notebook 3 left: run notebooks/03_training.ipynb again")
    return load_segmenter(folder, device)


def run_folder(cfg: Config, run: Run) -> Path:
    return paths.run_dir(cfg.run_id(run))


def lengths(cfg: Config) -> pd.DataFrame:
    """How long each trained run was trained, and each training in the mean of its seeds, by name.

    Columns: steps (of the optimiser), images seen (as often as they were drawn), training minutes; missing where a
    history was deleted."""
    rows = []
    for run in trained_runs(cfg):
        folder = run_folder(cfg, run)
        found = read_history(folder) if (folder / HISTORY).exists() else pd.DataFrame(dtype=float)
        spent = found.reindex(columns=["steps", "images", "seconds"]).astype(float).sum(min_count=1)
        rows.append((run.name, run.training, spent.steps, spent.images, spent.seconds / 60))
    table = pd.DataFrame(rows, columns=["run", "training", "steps", "images seen", "training minutes"])
    means = table.drop(columns="run").groupby("training", sort=False).mean()
    both = pd.concat([table.drop(columns="training").set_index("run"), means])
    return both.round({"steps": 0, "images seen": 0}).astype({"steps": "Int64", "images seen": "Int64"})


def write_run_card(cfg: Config, run: Run, history: pd.DataFrame) -> Path:
    """Say in one small file which weights a run of this config has; later notebooks find them through it."""
    best = history.loc[history.val_f1.idxmax()]
    card = {key: value for key, value in read_run(run_folder(cfg, run)).items() if key in ("run_id", "weights_sha256")}
    card |= {"best_epoch": int(best.epoch), "val_f1": float(best.val_f1)}
    path = paths.run_card(cfg.name, run.name)
    write_atomic(path, json.dumps(card, indent=2) + "\n")
    return path
