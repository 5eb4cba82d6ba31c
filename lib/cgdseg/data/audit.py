"""What is wrong with a data set before anyone trains on it: a folder's audit, duplicates, overlap between parts.

In: a folder, or a manifest and splits. Out: JSON-able dicts and DataFrames; nothing is changed or left out here."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from cgdseg.config import RGB, Dataset
from cgdseg.data.layouts import MOBIUS_NAME, SBVPI_NAME, SLD_NAME, subfolder, visible_files
from cgdseg.data.manifest import dataset_jobs, examine_all

NEAR = 4  # bits of 64 in which the perceptual hashes of a re-encoded or resized copy may differ
PAIRS = [("train", "test"), ("val", "test"), ("train", "val")]


def audit_folder(
    folder: Path | str,
    layout: str | None = None,
    colours: dict[str, RGB] | None = None,
    images: str | None = None,
    masks: str | None = None,
    n_workers: int | None = None,
    progress: bool = False,
) -> dict:
    """Audit one folder of image and mask pairs for `cgdseg audit DIR`; returns a JSON-able dict.

    layout None: guessed. images, masks: globs of the `plain` layout.
    Keys: folder, layout, pairs, left_out, warnings, subjects, sizes, sclera, duplicates, near_duplicates, findings."""
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: give the folder that holds the images and masks")
    settings = guess_layout(folder) | ({"layout": layout} if layout else {})
    settings |= {key: glob for key, glob in (("images", images), ("masks", masks)) if glob}
    dataset = Dataset(root=folder, domain="real", colours=colours, **settings)
    jobs, known = dataset_jobs(folder.name, dataset)
    manifest, findings = examine_all(jobs, [(folder.name, *finding) for finding in known], progress, n_workers)
    sizes = Counter(f"{row.height}x{row.width}" for row in manifest.itertuples())
    return {
        "folder": str(folder),
        "layout": dataset.layout,
        "pairs": len(manifest),
        "left_out": int((~findings["used"]).sum()),
        "warnings": int(findings["used"].sum()),
        "subjects": int(manifest["subject"].nunique()),
        "sizes": dict(sizes.most_common()),
        "sclera": {q: round(float(manifest["sclera"].quantile(v)), 4) for q, v in QUANTILES} if len(manifest) else {},
        "duplicates": exact_duplicates(manifest).to_dict("records"),
        "near_duplicates": near_duplicates(manifest).to_dict("records"),
        "findings": findings.drop(columns="dataset").to_dict("records"),
    }


QUANTILES = [("min", 0), ("median", 0.5), ("max", 1)]


def guess_layout(folder: Path) -> dict[str, str]:
    """Settings of config.Dataset (layout, and the globs of `plain`) that fit the folder's names best."""
    if any(
        (base / part / "Images").is_dir() for base in (folder, *folder.glob("*")) for part in ("Training", "Validation")
    ):
        return {"layout": "syncroi"}
    images, masks = subfolder(folder, "Images"), subfolder(folder, "Masks")
    files = visible_files(images or folder)
    stems = [f.stem for f in files if not f.stem.endswith(("_sclera", "_iris", "_pupil"))]

    def most(pattern) -> bool:
        return sum(bool(pattern.fullmatch(stem)) for stem in stems) * 2 > len(stems)

    if images and masks:
        for layout, pattern in (("mobius", MOBIUS_NAME), ("masd", SBVPI_NAME), ("sld", SLD_NAME)):
            if most(pattern):
                return {"layout": layout}
        nested = files and all(file.parent != images for file in files)
        return (
            {"layout": "smd"}
            if nested
            else {"layout": "plain", "images": f"{images.name}/**/*", "masks": f"{masks.name}/**/{{stem}}.*"}
        )
    if any(file.stem.endswith("_sclera") for file in files):
        return {"layout": "sbvpi"}
    return {"layout": "plain", "images": "**/*", "masks": "**/{stem}_mask.*"}


def exact_duplicates(manifest: pd.DataFrame) -> pd.DataFrame:
    """Images with the same bytes: DataFrame[first, second, same_subject, same_mask]."""
    rows = []
    for _, group in manifest.sort_values("image_id").groupby("image_sha256"):
        first, *others = group.itertuples()
        for other in others:
            same = (first.subject == other.subject, first.mask_sha256 == other.mask_sha256)
            rows.append((first.image_id, other.image_id, *same))
    return pd.DataFrame(rows, columns=["first", "second", "same_subject", "same_mask"])


def near_duplicates(manifest: pd.DataFrame, radius: int = NEAR) -> pd.DataFrame:
    """Pairs of different files that look alike: DataFrame[first, second, distance (bits), same_subject]."""
    table = manifest.sort_values("image_id", ignore_index=True)
    hashes = np.array([int(value, 16) for value in table["phash"]], np.uint64)
    rows = []
    for start in range(0, len(hashes), 512):  # blocks keep the distance matrix small
        block = hashes[start : start + 512]
        distances = np.bitwise_count(block[:, None] ^ hashes[None, start:])
        for i, j in np.argwhere(distances <= radius):
            first, second = table.iloc[start + i], table.iloc[start + j]
            if j > i and first["image_sha256"] != second["image_sha256"]:
                same = first["subject"] == second["subject"]
                rows.append((first["image_id"], second["image_id"], int(distances[i, j]), bool(same)))
    return pd.DataFrame(rows, columns=["first", "second", "distance", "same_subject"])


def overlap(splits: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """What two parts of a split share, per protocol and condition.

    DataFrame[protocol, condition, parts, images, files, subjects, share_of_images, share_of_subjects]: counts in both
    parts (files: same bytes under any name), and the share of the second part's images and subjects in the first."""
    known = splits.merge(manifest[["image_id", "subject", "image_sha256"]], on="image_id", validate="many_to_one")
    rows = []
    for (protocol, condition), group in known.groupby(["protocol", "condition"]):
        parts = dict(iter(group.groupby("part")))
        for one, two in PAIRS:
            if one in parts and two in parts:
                rows.append((protocol, condition, f"{one} and {two}", *_shared(parts[one], parts[two])))
    names = ["protocol", "condition", "parts", "images", "files", "subjects", "share_of_images", "share_of_subjects"]
    return pd.DataFrame(rows, columns=names)


def _shared(one: pd.DataFrame, two: pd.DataFrame) -> tuple[int, int, int, float, float]:
    images, files, subjects = (len(set(one[c]) & set(two[c])) for c in ("image_id", "image_sha256", "subject"))
    return images, files, subjects, images / two["image_id"].nunique(), subjects / two["subject"].nunique()
