"""The data audit as tables and in words: what a config holds, near copies, splits, and what they share."""

import numpy as np
import pandas as pd

from cgdseg.config import Config
from cgdseg.data.audit import exact_duplicates
from cgdseg.data.cache import PixelCache
from cgdseg.data.copies import ALIKE, Calibration
from cgdseg.data.stored import by_dataset


def datasets(manifest: pd.DataFrame, cfg: Config) -> pd.DataFrame:
    """A row a dataset: images, people, sizes and mean share of sclera."""
    rows = []
    for name, group in by_dataset(manifest, cfg):
        sizes = (group.width.astype(str) + "×" + group.height.astype(str)).value_counts()
        size = sizes.index[0] + (f" and {len(sizes) - 1} more" if len(sizes) > 1 else "")
        counts = len(group), group.subject.nunique(), size, int(group.has_iris.sum())
        means = 100 * group.sclera.mean(), group.brightness.mean()
        rows.append((cfg.label(name), group.domain.iloc[0], *counts, *means))
    names = ["dataset", "domain", "images", "subjects", "size (width×height)", "iris labelled"]
    return pd.DataFrame(rows, columns=[*names, "sclera %", "brightness"])


def duplicates(manifest: pd.DataFrame, near: pd.DataFrame) -> pd.DataFrame:
    """Exact copies and near ones (`copies.near_copies`) in one table."""
    exact = exact_duplicates(manifest).assign(kind="same bytes", distance=0, turned="as it is", alike=1.0)
    table = pd.concat([exact, near.assign(kind="one picture")], ignore_index=True)
    names = {"distance": "bits apart", "alike": "correlation", "same_subject": "same person"}
    return table[["first", "second", "kind", "turned", *names]].rename(columns=names)


def searched(found: Calibration) -> pd.DataFrame:
    """What the search for copies finds of those that were made, and takes for copies of different people's images."""
    rows = []
    for change, made in found.copies.groupby("change", sort=False):
        within = made.distance <= found.radius
        both = within & (made.alike >= ALIKE)
        rows.append((change, made.promised.iloc[0], len(made), made.distance.median(), within.mean(), both.mean()))
    names = ["pair", "promised", "pairs", "bits apart (median)", "within the radius %", "found %"]
    table = pd.DataFrame(rows, columns=names)
    table["promised"] = table.promised.map({True: "yes", False: "no"})
    n = int(found.strangers.sum())
    middle = int(np.searchsorted(found.strangers.cumsum(), n / 2))
    table.loc[len(table)] = ["two people", "", n, middle, found.strangers_within(), np.nan]
    table[names[-2:]] *= 100
    return table


def split_counts(splits: pd.DataFrame, manifest: pd.DataFrame, cfg: Config) -> pd.DataFrame:
    """Images by protocol, condition and dataset, a column a part."""
    named = splits.merge(manifest[["image_id", "dataset"]], on="image_id")
    named["dataset"] = named.dataset.map(cfg.label)
    counts = named.groupby(["protocol", "condition", "dataset", "part"], sort=False).size().unstack(fill_value=0)
    return counts.reindex(columns=["train", "val", "test"], fill_value=0).reset_index().rename_axis(columns=None)


def caches(opened: list[PixelCache]) -> pd.DataFrame:
    """A row a size: images and megabytes on disk."""
    rows = [(*cache.images.shape[1:3], len(cache), cache.n_bytes / 1e6) for cache in opened]
    return pd.DataFrame(rows, columns=["height", "width", "images", "MB"])


def shared_by_parts(found: pd.DataFrame) -> pd.DataFrame:
    """The rows of `audit.overlap` in words that a reader understands; shares are of the second part, in per cent."""
    names = {"images": "shared images", "files": "shared files", "alike": "near copies", "subjects": "shared subjects"}
    shares = {"% of images": 100 * found.share_of_images, "% of subjects": 100 * found.share_of_subjects}
    table = found.rename(columns=names).assign(**shares)
    return table[["protocol", "condition", "parts", *names.values(), *shares]]


def sizes(manifest: pd.DataFrame, cfg: Config) -> pd.DataFrame:
    """Images by dataset and size in pixels."""
    rows = []
    for name, group in by_dataset(manifest, cfg):
        counts = group.groupby(["height", "width"]).size()
        rows += [(cfg.label(name), width, height, n) for (height, width), n in counts.items()]
    return pd.DataFrame(rows, columns=["dataset", "width", "height", "images"])


def read_search(found: Calibration) -> str:
    """What the search for near copies finds, and what it would take for one by mistake, in words."""
    promised, more = found.copies[found.copies.promised], found.copies[~found.copies.promised]
    beyond = ((more.distance <= found.radius) & (more.alike >= ALIKE)).mean()
    n, pairs = int(found.strangers[: found.radius + 1].sum()), int(found.strangers.sum())
    likest = found.likest.alike.max() if len(found.likest) else 0
    return (
        f"The radius is {found.radius} bits of 256. Of {len(promised)} copies of the promised kinds the search finds "
        f"{100 * (1 - found.missed()):.1f} %, of {len(more)} that were cut more {100 * beyond:.0f} %. Of {pairs:,} "
        f"pairs of different people {n:,} lie within the radius and need the second look. Of the "
        f"{len(found.likest)} nearest of these pairs the likest correlates by {likest:.2f}; of the promised copies the "
        f"least like does by {promised.alike.min():.2f}; the border is {ALIKE}."
    )
