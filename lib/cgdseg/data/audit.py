"""What is wrong with a data set before anyone trains on it: a folder's audit, duplicates, overlap between parts.

In: a folder, or a manifest and splits. Out: JSON-able dicts and DataFrames; nothing is changed or left out here."""

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from cgdseg import paths
from cgdseg.config import RGB, Config, Dataset
from cgdseg.data.copies import from_files, near_copies
from cgdseg.data.layouts import MOBIUS_NAME, SBVPI_NAME, SLD_NAME, Finding, in_short, subfolder, visible_files
from cgdseg.data.manifest import dataset_jobs, examine_all

MOST_PAIRS = 10  # pairs that an error names
PART_PAIRS = [("train", "test"), ("val", "test"), ("train", "val")]


def audit_folder(folder: Path | str, colours: dict[str, RGB] | None = None) -> dict:
    """Audit a folder of image and mask pairs, in the layout that fits it best; returns a JSON-able dict.

    Keys: folder, layout, pairs, left_out, warnings, subjects, sizes, sclera, duplicates, near_duplicates, findings."""
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: give the folder that holds the images and masks")
    dataset = Dataset(root=folder, domain="real", colours=colours, **guess_layout(folder))
    jobs, known = dataset_jobs(folder.name, dataset)
    known = [(folder.name, *finding) for finding in known]
    manifest, findings = examine_all(jobs, known, progress=False, n_workers=None)
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
        "near_duplicates": near_copies(manifest, from_files(manifest, {folder.name: folder})).to_dict("records"),
        "findings": findings.drop(columns="dataset").to_dict("records"),
    }


QUANTILES = [("min", 0), ("median", 0.5), ("max", 1)]


def guess_layout(folder: Path) -> dict[str, str]:
    """Settings of `Dataset` (layout, and the globs of `plain`) that fit the folder's names best."""
    places = itertools.product((folder, *folder.glob("*")), ("Training", "Validation"))
    if any((base / part / "Images").is_dir() for base, part in places):
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
        if files and all(file.parent != images for file in files):
            return {"layout": "smd"}
        return {"layout": "plain", "images": f"{images.name}/**/*", "masks": f"{masks.name}/**/{{stem}}.*"}
    if any(file.stem.endswith("_sclera") for file in files):
        return {"layout": "sbvpi"}
    return {"layout": "plain", "images": "**/*", "masks": "**/{stem}_mask.*"}


def refuse_unusable(manifest: pd.DataFrame, findings: pd.DataFrame, cfg: Config) -> None:
    """Raise ValueError that names each dataset of which no image can be used, with what is mostly wrong with it."""
    problems = []
    for name in cfg.datasets.keys() - set(manifest.dataset):
        left_out = findings.loc[(findings.dataset == name) & ~findings.used, list(Finding._fields)]
        problems.append(f"{name}: {in_short(list(map(Finding._make, left_out.itertuples(index=False))))}")
    if problems:
        csv = paths.short(paths.findings_csv(cfg.name))
        raise ValueError("\n".join([f"no image is usable ({csv} has all reasons) of", *sorted(problems)]))


def exact_duplicates(manifest: pd.DataFrame) -> pd.DataFrame:
    """Images with the same bytes: DataFrame[first, second, same_subject, same_mask]."""
    rows = []
    for _, group in manifest.sort_values("image_id").groupby("image_sha256"):
        first, *others = group.itertuples()
        for other in others:
            same = (first.subject == other.subject, first.mask_sha256 == other.mask_sha256)
            rows.append((first.image_id, other.image_id, *same))
    return pd.DataFrame(rows, columns=["first", "second", "same_subject", "same_mask"])


def overlap(splits: pd.DataFrame, manifest: pd.DataFrame, near: pd.DataFrame) -> pd.DataFrame:
    """What two parts of a split share, per protocol and condition; near: `copies.near_copies` of the manifest.

    DataFrame[protocol, condition, parts, images, files, alike, subjects, share_of_images, share_of_subjects]: counts in
    both parts (files: same bytes under any name; alike: images of the second with a near copy in the first), and the
    share of the second part's images and subjects in the first."""
    rows = []
    for *where, one, two in _part_pairs(splits, manifest):
        rows.append((*where, *_shared(one, two, near)))
    names = ["images", "files", "alike", "subjects", "share_of_images", "share_of_subjects"]
    return pd.DataFrame(rows, columns=["protocol", "condition", "parts", *names])


def _part_pairs(
    splits: pd.DataFrame, manifest: pd.DataFrame
) -> Iterator[tuple[str, str, str, pd.DataFrame, pd.DataFrame]]:
    """(protocol, condition, "<one> and <two>", the one part's rows of the manifest, the other's)."""
    columns = ["image_id", "domain", "subject", "image_sha256"]
    known = splits.merge(manifest[columns], on="image_id", validate="many_to_one")
    for (protocol, condition), group in known.groupby(["protocol", "condition"]):
        parts = dict(iter(group.groupby("part")))
        for one, two in PART_PAIRS:
            if one in parts and two in parts:
                yield protocol, condition, f"{one} and {two}", parts[one], parts[two]


def _shared(one: pd.DataFrame, two: pd.DataFrame, near: pd.DataFrame) -> tuple[int, int, int, int, float, float]:
    images, files, subjects = (len(set(one[c]) & set(two[c])) for c in ("image_id", "image_sha256", "subject"))
    alike = len(set(_across(one, two, near).second))
    shares = images / two["image_id"].nunique(), subjects / two["subject"].nunique()
    return images, files, alike, subjects, *shares


def _across(one: pd.DataFrame, two: pd.DataFrame, near: pd.DataFrame) -> pd.DataFrame:
    """Near copies whose `first` is in one part and whose `second` is in the other."""
    both = pd.concat([near, near.rename(columns={"first": "second", "second": "first"})])
    return both[both["first"].isin(one.image_id) & both["second"].isin(two.image_id)]


def refuse_overlap(splits: pd.DataFrame, manifest: pd.DataFrame, near: pd.DataFrame, cfg: Config) -> None:
    """Raise ValueError that names what two parts share, where a condition is split by `subject`.

    The same image, the same bytes, a near copy, or a photographed person (rendered eyes have none) must not stand on
    both sides; nothing is left out here, because only who knows the pictures can tell which one to keep."""
    found = []
    for protocol, condition, parts, one, two in _part_pairs(splits, manifest):
        if protocol == "subject" and cfg.protocol(condition) == "subject":
            found += [f"{condition}, {parts}: {pair}" for pair in _pairs(one, two, near)]
    if found:
        rest = [f"and {len(found) - MOST_PAIRS} more"] if len(found) > MOST_PAIRS else []
        raise ValueError(
            f"{len(found)} pairs stand in two parts of a split by `subject`:\n  "
            + "\n  ".join(found[:MOST_PAIRS] + rest)
            + "\nTake one file of each pair, with its mask, out of its dataset; or, where it is one person under two "
            "names, give that person one name, and the split keeps the images together."
        )


def _pairs(one: pd.DataFrame, two: pd.DataFrame, near: pd.DataFrame) -> list[str]:
    """In words what two parts of a split share, a line a pair."""
    images = sorted(set(one.image_id) & set(two.image_id))
    lines = [f"{image} is in both" for image in images]
    files = one.merge(two, on="image_sha256", suffixes=("", "_two"))
    files = files[files.image_id != files.image_id_two]
    lines += [f"{row.image_id} and {row.image_id_two} have the same bytes" for row in files.itertuples()]
    for row in _across(one, two, near).itertuples():
        lines.append(f"{row.first} and {row.second} show one picture ({row.turned}, {row.distance} of 256 bits apart)")
    people = [part[part.domain == "real"].groupby("subject").image_id.first() for part in (one, two)]
    for subject in sorted(set(people[0].index) & set(people[1].index)):
        lines.append(f"{people[0][subject]} and {people[1][subject]} show one person, {subject}")
    return lines
