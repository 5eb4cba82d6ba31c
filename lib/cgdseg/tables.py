"""Every table of the notebooks that is more than one pandas call: frames in, a frame to read out."""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd

from cgdseg.config import Config, Run
from cgdseg.data.audit import exact_duplicates
from cgdseg.data.cache import PixelCache
from cgdseg.data.copies import ALIKE
from cgdseg.data.radius import Calibration
from cgdseg.data.splits import load_splits, part_ids, select_ids
from cgdseg.metrics import SCORES
from cgdseg.paths import RESULTS
from cgdseg.statistics import crossed_interval


def datasets(manifest: pd.DataFrame, cfg: Config) -> pd.DataFrame:
    """A row a dataset: images, people, sizes and mean share of sclera."""
    rows = []
    for name, group in by_dataset(manifest, cfg):
        sizes = (group.width.astype(str) + "×" + group.height.astype(str)).value_counts()
        rows.append(
            {
                "dataset": cfg.label(name),
                "domain": group.domain.iloc[0],
                "images": len(group),
                "subjects": group.subject.nunique(),
                "size (width×height)": sizes.index[0] + (f" and {len(sizes) - 1} more" if len(sizes) > 1 else ""),
                "iris labelled": int(group.has_iris.sum()),
                "sclera %": 100 * group.sclera.mean(),
                "brightness": group.brightness.mean(),
            }
        )
    return pd.DataFrame(rows)


def by_dataset(manifest: pd.DataFrame, cfg: Config) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each dataset's rows, in the config's order."""
    groups = dict(iter(manifest.groupby("dataset")))
    return ((name, groups[name]) for name in cfg.datasets if name in groups)


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


def parts(splits: pd.DataFrame, manifest: pd.DataFrame, cfg: Config) -> pd.DataFrame:
    """Images by protocol, condition and dataset, a column a part."""
    named = splits.merge(manifest[["image_id", "dataset"]], on="image_id")
    named["dataset"] = named.dataset.map(cfg.label)
    counts = named.groupby(["protocol", "condition", "dataset", "part"], sort=False).size().unstack(fill_value=0)
    return counts.reindex(columns=["train", "val", "test"], fill_value=0).reset_index().rename_axis(columns=None)


def caches(opened: list[PixelCache]) -> pd.DataFrame:
    """A row a size: images and megabytes on disk."""
    rows = [
        {"height": c.images.shape[1], "width": c.images.shape[2], "images": len(c), "MB": c.n_bytes / 1e6}
        for c in opened
    ]
    return pd.DataFrame(rows)


def run_parts(cfg: Config, run: Run) -> pd.DataFrame:
    """What one run trains on, validates on and is tested on: distinct images, and entries an epoch, by dataset."""
    rows, streamed = [], cfg.streamed(run)
    splits = load_splits(cfg)
    splits = splits[(splits.protocol == cfg.protocol(run.condition)) & (splits.condition == run.condition)]
    for part in [part for part in ("train", "val", "test") if (splits.part == part).any()]:
        if part == "train" and streamed:
            images = streamed * cfg.training.epochs
            rows.append({"part": part, "dataset": "rendered afresh", "images": images, "entries": streamed})
            continue
        ids = pd.Series(select_ids(splits, cfg, run.condition, part))
        for name, group in ids.groupby(ids.str.split("/").str[0]):
            rows.append({"part": part, "dataset": cfg.label(name), "images": group.nunique(), "entries": len(group)})
    return pd.DataFrame(rows)


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


def speed(history: pd.DataFrame, cfg: Config, run: Run) -> pd.DataFrame:
    """Seconds an epoch and milliseconds a training entry, validation included."""
    entries = cfg.streamed(run) or len(part_ids(cfg, run.condition, "train"))
    seconds = history.seconds.median()
    return pd.DataFrame(
        [
            {
                "epochs": len(history),
                "entries an epoch": entries,
                "seconds an epoch": seconds,
                "ms an entry": 1000 * seconds / entries,
                "minutes in all": history.seconds.sum() / 60,
            }
        ]
    )


def overlap(found: pd.DataFrame) -> pd.DataFrame:
    """The rows of `audit.overlap` in words that a reader understands; shares are of the second part, in per cent."""
    names = {"images": "shared images", "files": "shared files", "alike": "near copies", "subjects": "shared subjects"}
    shares = {"% of images": 100 * found.share_of_images, "% of subjects": 100 * found.share_of_subjects}
    table = found.rename(columns=names).assign(**shares)
    return table[["protocol", "condition", "parts", *names.values(), *shares]]


def sizes(manifest: pd.DataFrame, cfg: Config) -> pd.DataFrame:
    """Images by dataset and size in pixels."""
    rows = []
    for name, group in by_dataset(manifest, cfg):
        for (height, width), same in group.groupby(["height", "width"]):
            rows.append({"dataset": cfg.label(name), "width": width, "height": height, "images": len(same)})
    return pd.DataFrame(rows)


SETS = {"photos": "photographs F1", "rendered": "rendered eyes F1"}  # the first that a study has judges its variants


def transfer(rows: pd.DataFrame, baseline: str | dict[str, str]) -> pd.DataFrame:
    """A study of benchmarks/transfer.py, a row a variant: F1 on photographs, its change against the baseline variant
    with a 95 % interval over seeds and images, and F1 on rendered eyes. The most harmful change comes first.

    Where no photographs were scored, the change is that on rendered eyes. A dict gives some variants a baseline each,
    and only those have a row."""
    means = rows.groupby(["variant", "set"]).f1.mean().unstack().rename(columns=SETS)
    judge = next(name for name in SETS if (rows.set == name).any())
    grids = {
        v: g.pivot(index="seed", columns="image", values="f1") for v, g in rows[rows.set == judge].groupby("variant")
    }
    found, pairs = [], baseline if isinstance(baseline, dict) else dict.fromkeys(grids, baseline)
    for variant, other in pairs.items():
        change = (grids[variant] - grids[other]).dropna(how="all")
        low, high = crossed_interval(change.to_numpy()) if variant != other else (np.nan, np.nan)
        moved = {"change": change.to_numpy().mean(), "low": low, "high": high}
        own = {SETS[judge]: means.loc[variant, SETS[judge]], **moved, **means.loc[variant].drop(SETS[judge])}
        found.append({"variant": variant, **own, "seeds": len(change)})
    table = pd.DataFrame(found).sort_values("change", ignore_index=True)
    if isinstance(baseline, dict):
        return table
    return pd.concat([table[table.variant == baseline], table[table.variant != baseline]], ignore_index=True)


FORMS = {  # of benchmarks/
    "theirs": "the slides' code",
    "theirs, memory kept": "the slides' code, freed memory kept",
    "ours": "ours, float32",
    "ours bf16": "ours, bf16",
    "ours compiled": "ours, float32, compiled",
    "ours bf16 compiled": "ours, bf16, compiled",
}


def side_forms(name: str) -> pd.DataFrame:
    """The forms that benchmarks/results/<name>.json compares: milliseconds an image, times faster than the slides'
    code, and the most memory held."""
    result = measured(name)
    table = pd.DataFrame({"ms an image": result["ms_an_image"], "peak MiB": result["peak_MiB"]})
    table.insert(1, "times faster", table["ms an image"]["theirs"] / table["ms an image"])
    return table.rename_axis("form").reset_index().replace({"form": FORMS})


def measured(name: str) -> dict:
    """What benchmarks/<name>.py found, with the `machine` it ran on."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def peers() -> pd.DataFrame:
    """benchmarks/results/peers.json: parameters, operations and time of each peer at the study's size."""
    return pd.DataFrame(measured("peers")["peers"])


def input_pipeline() -> pd.DataFrame:
    """benchmarks/results/input_pipeline.json in rows: quantity, value, unit."""
    found = measured("input_pipeline")
    rows = [("an image decoded from PNG", found["ms_an_image"]["decoded"], "ms")]
    rows += [("an image from the cache", found["ms_an_image"]["cached"], "ms"), ("times faster", found["ratio"], "")]
    rows += [(f"most held, {case}", value, "MiB") for case, value in found["peak_MiB"].items()]
    return pd.DataFrame(rows, columns=["quantity", "value", "unit"])


NAMES = {"f1": "F1", "pooled f1": "pooled F1", "iou": "IoU", "mae": "MAE", "validation f1": "validation F1"}
NAMES["test f1"] = "test F1"


def for_reading(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Some columns of a table under the names that readers expect, rows counted anew."""
    return table[columns].rename(columns=NAMES).reset_index(drop=True)


def cross_domain(summary: pd.DataFrame) -> pd.DataFrame:
    """The test rows of `evaluation.cross_domain`: F1 with its interval, then its company."""
    columns = ["run", "dataset", "f1", "low", "high", "images", "subjects"]
    return for_reading(summary[summary.part == "test"], [*columns, "pooled f1", *SCORES[1:]])


def side_by_side(summary: pd.DataFrame) -> pd.DataFrame:
    """Test F1 of `evaluation.cross_domain`: a row a run, a column a dataset, and their mean where there are several."""
    test = summary[summary.part == "test"]
    grid = test.pivot(index="run", columns="dataset", values="f1")
    grid = grid.loc[test.run.unique(), test.dataset.unique()]
    if grid.shape[1] > 1:
        grid["mean"] = grid.mean(axis=1)
    return grid.reset_index().rename_axis(columns=None)


def gaps(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `intervals.gap_intervals`."""
    return for_reading(table, ["run", "dataset", "validation f1", "test f1", "gap", "low", "high"])


def gaps_closed(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `intervals.closed_intervals`; shares are in per cent."""
    shares = {"share won back %": 100 * table["share won back"], "low %": 100 * table["share low"]}
    shares |= {"high %": 100 * table["share high"], "closed, slides' way %": 100 * table["share closed"]}
    before = next(name for name in table if name.startswith("test f1 "))
    columns = ["system", "condition", "dataset", before, "test f1", "change", "change low", "change high", *shares]
    return for_reading(table.assign(**shares), columns).rename(columns={before: before.replace("f1 ", "F1, ")})


def distances(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `shift.compare`; `by chance` is the 95 % quantile between halves of the source."""
    names = {"mmd2": "MMD²", "a_distance": "A-distance", "frechet": "Fréchet"}
    found = table[["first", "second", "images"]].copy()
    for name, title in names.items():
        found[title] = table[name]
        if name == "mmd2":
            found["p"] = table.p
        found[f"{title}, by chance"] = table[f"{name} limit"]
    return found


def factors(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `attribution.points_of` with `dataset`: points and shares are hundredths."""
    numbers = {name: 100 * table[name] for name in ("points", "low", "high")}
    shares = {"share %": 100 * table["share"], "low %": 100 * table["share low"], "high %": 100 * table["share high"]}
    return table[["dataset", "factor"]].assign(**numbers, **shares).reset_index(drop=True)


def remedies(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `remedies.changes`; seconds are spent once, `times as slow` with every image."""
    names = {"looks_at": "looks at", "seconds": "seconds once", "times": "times as slow"}
    return for_reading(
        table, ["dataset", "remedy", "looks_at", "f1", "change", "low", "high", *list(names)[1:]]
    ).rename(columns=names)


def people(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `ladder.summary`, a row a test set and number of people: F1 of the seeds' mean and of each seed."""
    keys = ["dataset", "people", "images", "seconds"]
    grouped = table.groupby(keys, sort=False)
    seeds = table.pivot(index=keys, columns="seed", values="f1").add_prefix("F1, seed ")
    means = grouped.agg(F1=("f1", "mean"), low=("low", "first"), high=("high", "first"))
    return means.join(seeds).reset_index()


def leak_reported(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `leakage.reported`."""
    shown = table.rename(columns={"images": "published images", "subjects": "published subjects"})
    sides = [f"{side} {what}" for side in ("honest", "published") for what in ("f1", "low", "high", "images")]
    return _leak(shown, ["system", "dataset", *sides, "honest subjects", "inflation", "low", "high"])


def leak_same(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `leakage.same_images`; shares are in per cent."""
    shares = {f"% of {what} trained on": 100 * table[f"{what} trained on"] for what in ("images", "subjects")}
    columns = ["images", "subjects", "honest f1", "published f1", "change", "low", "high", "p", "effect", *shares]
    return _leak(table.assign(**shares), ["system", "dataset", *columns])


def leak_exposure(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `leakage.by_exposure`."""
    return _leak(table, [name for name in table.columns if name != "pair"])


def _leak(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Columns under readers' names; which conditions were compared stands in front where there are several pairs."""
    several = ["pair"] if table.pair.nunique() > 1 else []
    names = {name: name.replace("f1", "F1") for name in columns} | {"change": "change of F1", "effect": "effect size"}
    return table[[*several, *columns]].rename(columns=names).reset_index(drop=True)
