"""Who trains, who validates, who is tested: two protocols, every condition, one table.

In: a manifest and a config. Out: DataFrame[protocol, condition, image_id, part], part in train, val, test.
Every choice follows from cfg.splits.seed, the dataset's name and its ids; the order of rows does not matter."""

import hashlib

import numpy as np
import pandas as pd

from cgdseg import paths
from cgdseg.config import Config, Splits
from cgdseg.data.stored import SPLIT_COLUMNS, write_csv

SPLIT_PROTOCOLS = ("subject", "published")
KIT_PARTS = {"Training": "train", "Validation": "val"}


def make_splits(manifest: pd.DataFrame, cfg: Config) -> pd.DataFrame:
    """Split by both protocols for every condition.

    subject: real subjects are split once, the same for every condition; a person is in one part only.
    published: the slides' random image split of the real sets, which are then tested in full, training images included.
    Raises ValueError where a dataset cannot be split."""
    groups = dict(iter(manifest.groupby("dataset")))
    _check(groups, cfg)
    rows = []
    for protocol in SPLIT_PROTOCOLS:
        parts = {name: _split(name, group, protocol, cfg) for name, group in groups.items()}
        for condition, trained in cfg.conditions.items():
            for name, assigned in parts.items():
                dataset = cfg.datasets[name]
                taught = name in trained
                wanted = ({"train", "val"} if taught else set()) | ({"test"} if dataset.domain == "real" else set())
                rows += [(protocol, condition, image, part) for image, part in assigned if part in wanted]
    splits = pd.DataFrame(rows, columns=SPLIT_COLUMNS).sort_values(SPLIT_COLUMNS, ignore_index=True)
    for (protocol, condition), group in splits.groupby(["protocol", "condition"]):
        missing = {"train", "val"} - set(group["part"])
        if missing:
            lacking = " and no ".join(sorted(missing))
            raise ValueError(f"condition {condition} has no {lacking} images under {protocol}: give it more datasets")
    return splits


def save_splits(cfg: Config, splits: pd.DataFrame) -> None:
    """Write splits.csv into the config's cache folder, atomically."""
    write_csv(splits, paths.splits_csv(cfg.name))


def _check(groups: dict[str, pd.DataFrame], cfg: Config) -> None:
    for condition, names in cfg.conditions.items():
        for name in names:
            if name not in groups:
                raise ValueError(f"condition {condition} needs {name}, of which no image is usable: see findings.csv")


def _split(name: str, group: pd.DataFrame, protocol: str, cfg: Config) -> list[tuple[str, str]]:
    """(image_id, part) of one dataset as if it were trained on; an image may stand in two parts (published)."""
    dataset, ids = cfg.datasets[name], sorted(group["image_id"])
    trained = any(name in names for names in cfg.conditions.values())
    everything = [(image_id, "test") for image_id in ids]
    if dataset.domain == "synthetic":
        if set(KIT_PARTS) <= set(group["part"]):
            return [(row.image_id, KIT_PARTS.get(row.part, "train")) for row in group.itertuples()]
        return _random_images(name, ids, cfg.splits)
    if not trained:
        return everything
    if protocol == "published":
        return _random_images(name, ids, cfg.splits) + everything
    part_of = _split_subjects(name, sorted(set(group["subject"])), cfg.splits)
    return [(row.image_id, part_of[row.subject]) for row in group.itertuples()]


def _random_images(name: str, ids: list[str], settings: Splits) -> list[tuple[str, str]]:
    """A random val_fraction, rounded down as in the slides (259 of MASD's 2,595), validates."""
    held_out = set(_shuffled(ids, name, settings.seed)[: max(1, int(len(ids) * settings.val_fraction + 1e-9))])
    return [(image_id, "val" if image_id in held_out else "train") for image_id in ids]


def _split_subjects(name: str, subjects: list[str], settings: Splits) -> dict[str, str]:
    """subject -> part; at least one subject in each."""
    if len(subjects) < 3:
        mend = f"it needs 3 to be trained on; take {name} out of the conditions, or tell its people apart (`person:`)"
        raise ValueError(f"dataset {name} has {len(subjects)} subject(s): {mend}")
    n_test = min(max(1, int(len(subjects) * settings.test_fraction + 1e-9)), len(subjects) - 2)
    n_val = min(max(1, int((len(subjects) - n_test) * settings.val_fraction + 1e-9)), len(subjects) - n_test - 1)
    parts = ["test"] * n_test + ["val"] * n_val + ["train"] * (len(subjects) - n_test - n_val)
    return dict(zip(_shuffled(subjects, name, settings.seed), parts, strict=True))


def _shuffled(names: list[str], dataset: str, seed: int) -> list[str]:
    """Names (sorted) in an order drawn from the seed and the dataset, so that other datasets change nothing."""
    key = hashlib.sha256(f"{seed} {dataset}".encode()).digest()
    order = np.random.default_rng(np.frombuffer(key, np.uint32)).permutation(len(names))
    return [names[i] for i in order]
