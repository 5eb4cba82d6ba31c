"""What notebook 1 wrote, read again: manifest, findings and splits, and the images of a part.

Whoever reads them depends on what is in them and not on how it was made: another layout trains nothing anew."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from cgdseg import paths
from cgdseg.config import Config
from cgdseg.files import write_atomic

TEXT = ["image_id", "dataset", "domain", "subject", "eye", "gaze", "part", "device", "image", "mask"]
HASHES = ["image_sha256", "mask_sha256", "phash"]
FINDINGS = ["dataset", "file", "reason", "mend", "used"]
SPLIT_COLUMNS = ["protocol", "condition", "image_id", "part"]


def load_manifest(cfg: Config) -> pd.DataFrame:
    """The manifest that notebook 01 wrote."""
    return read_csv(paths.require(paths.manifest_csv(cfg.name), "01_data_audit"), [*TEXT, *HASHES])


def by_dataset(manifest: pd.DataFrame, cfg: Config) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each dataset's rows, in the config's order."""
    groups = dict(iter(manifest.groupby("dataset")))
    return ((name, groups[name]) for name in cfg.datasets if name in groups)


def load_splits(cfg: Config) -> pd.DataFrame:
    """The splits that notebook 01 wrote."""
    return read_csv(paths.require(paths.splits_csv(cfg.name), "01_data_audit"), SPLIT_COLUMNS)


def part_ids(cfg: Config, condition: str, part: str, protocol: str | None = None) -> list[str]:
    """image_ids of one part; in `train` every real image stands cfg.splits.real_repeats times.

    protocol None: the condition's own."""
    return select_ids(load_splits(cfg), cfg, condition, part, protocol)


def select_ids(splits: pd.DataFrame, cfg: Config, condition: str, part: str, protocol: str | None = None) -> list[str]:
    """`part_ids` of a table at hand."""
    protocol = protocol or cfg.protocol(condition)
    wanted = (splits["protocol"] == protocol) & (splits["condition"] == condition) & (splits["part"] == part)
    ids = splits.loc[wanted, "image_id"].tolist()
    if not ids:
        raise ValueError(f"no {part} images for condition {condition} under {protocol}: check the config's conditions")
    if part != "train":
        return ids
    real = [image_id for image_id in ids if cfg.datasets[image_id.split("/")[0]].domain == "real"]
    return ids + real * (cfg.splits.real_repeats - 1)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table so that `path` is never half a file."""
    write_atomic(path, table.to_csv(index=False, lineterminator="\n"))


def read_csv(path: Path, text: list[str]) -> pd.DataFrame:
    """Read a table; the columns `text` stay text, whatever they look like ("NA", "001", "1e5")."""
    return pd.read_csv(path, dtype=dict.fromkeys(text, str), keep_default_na=False, lineterminator="\n")
