"""Finished trainings: their folders, histories and cards, and the segmenter that each became."""

import json
from pathlib import Path

import pandas as pd

from cgdseg import paths
from cgdseg.config import Config, Run
from cgdseg.files import write_atomic
from cgdseg.models.predictor import Segmenter, load_segmenter
from cgdseg.models.weights import read_run


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


def write_run_card(cfg: Config, run: Run, history: pd.DataFrame) -> Path:
    """Say in one small file which weights a run of this config has; later notebooks find them through it."""
    best = history.loc[history.val_f1.idxmax()]
    card = {key: value for key, value in read_run(run_folder(cfg, run)).items() if key in ("run_id", "weights_sha256")}
    card |= {"best_epoch": int(best.epoch), "val_f1": float(best.val_f1)}
    path = paths.run_card(cfg.name, run.name)
    write_atomic(path, json.dumps(card, indent=2) + "\n")
    return path
