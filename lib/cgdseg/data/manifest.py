"""One table for every dataset: one row per usable pair, and one row per finding.

In: a config. Out: `manifest` (columns MANIFEST) and `findings` (columns FINDINGS), pandas DataFrames.
A bad file never stops the run and is never used silently."""

import os
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from cgdseg import paths
from cgdseg.config import RGB, Config, Dataset
from cgdseg.data.copies import perceptual_hash
from cgdseg.data.images import BadFile, load_image, load_labels
from cgdseg.data.layouts import Finding, Pair, read_layout
from cgdseg.data.stored import FINDINGS, HASHES, TEXT, write_csv
from cgdseg.labels import IRIS, PUPIL, SCLERA
from cgdseg.loops import in_parallel

NUMBERS = ["height", "width", "sclera", "brightness", "red", "green", "blue", "blur", "tone"]
TONE_PIXELS = 100_000  # of the frame, for its skin tone: more change nothing
MANIFEST = [*TEXT, *NUMBERS, *HASHES, "has_iris"]


class MeasuringJob(NamedTuple):
    """One pair to examine, with all a worker needs to know."""

    pair: Pair
    dataset: str
    domain: str
    folder: Path
    colours: dict[str, RGB] | None


def build_manifest(
    cfg: Config, progress: bool = True, n_workers: int | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read, check and measure every pair of every dataset -> (manifest, findings), both in a fixed order.

    Raises FileNotFoundError when a dataset's folder is missing."""
    jobs, findings = [], []
    for name, dataset in cfg.datasets.items():
        more, found = dataset_jobs(name, dataset)
        jobs += more
        findings += [(name, *finding) for finding in found]
    return examine_all(jobs, findings, progress, n_workers or cfg.workers)


def dataset_jobs(name: str, dataset: Dataset) -> tuple[list[MeasuringJob], list[Finding]]:
    pairs, findings = read_layout(name, dataset)
    jobs = [MeasuringJob(pair, name, dataset.domain, dataset.folder, dataset.colours) for pair in pairs]
    return jobs, findings


def examine_all(
    jobs: list[MeasuringJob], findings: list[tuple], progress: bool, n_workers: int | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Examine jobs in parallel -> (manifest, findings); `findings` are rows that are already known."""
    rows = []
    title = "examining pairs" if progress else None
    for job, (row, found) in zip(jobs, in_parallel(examine, jobs, n_workers, title), strict=True):
        rows += [row] if row else []
        findings += [(job.dataset, *finding) for finding in found]
    _name_uniquely(rows)
    findings += _duplicates(rows)
    manifest = pd.DataFrame(rows, columns=MANIFEST).sort_values("image_id", ignore_index=True)
    return manifest, pd.DataFrame(findings, columns=FINDINGS).astype({"used": bool})


def examine(job: MeasuringJob) -> tuple[dict | None, list[Finding]]:
    """Decode, check and measure one pair -> (manifest row or None, findings)."""
    pair = job.pair
    image_file, mask_file = (os.path.relpath(file, job.folder) for file in (pair.image, pair.mask))
    findings = []
    try:
        image = load_image(pair.image)
    except BadFile as bad:
        findings.append(Finding(image_file, bad.reason, bad.mend))
    try:
        labels = load_labels(pair.mask, job.colours)
    except BadFile as bad:  # of the mask or of a companion of it
        findings.append(Finding(os.path.relpath(bad.path, job.folder), bad.reason, bad.mend))
    if findings:
        return None, findings
    findings = [Finding(image_file, reason, mend, used=True) for reason, mend in image.notes]
    findings += [Finding(mask_file, reason, mend, used=True) for reason, mend in labels.notes]
    findings += [Finding(mask_file, *problem) for problem in check_labels(image.pixels, labels.pixels, pair.image.name)]
    if not all(finding.used for finding in findings):
        return None, findings
    row = {
        "dataset": job.dataset,
        "domain": job.domain,
        "subject": pair.subject,
        "eye": pair.eye,
        "gaze": pair.gaze,
        "part": pair.part,
        "device": pair.device,
        "image": Path(image_file).as_posix(),
        "mask": Path(mask_file).as_posix(),
        "image_sha256": image.sha256,
        "mask_sha256": labels.sha256,
        "has_iris": bool((labels.pixels >= IRIS).any()),
    }
    return row | measure_eye(image.pixels, labels.pixels), findings


def check_labels(image: np.ndarray, labels: np.ndarray, image_name: str) -> list[tuple[str, str, bool]]:
    """(reason, mend, used) of what is wrong with decoded labels."""
    if labels.shape != image.shape[:2]:
        sizes = "{}x{}, and {} is {}x{}".format(*labels.shape, image_name, *image.shape[:2])
        return [("has another size than its image", f"export it at the image's size: it is {sizes}", False)]
    sclera = labels == SCLERA
    if not sclera.any():
        return [("shows no sclera", "none if the eye is closed; else draw the mask again", True)]
    border = np.concatenate([sclera[0], sclera[-1], sclera[:, 0], sclera[:, -1]])
    if border.mean() > 0.9 or sclera.mean() > 0.95:
        return [("is full, or white outside the eye", "invert it, or draw it again", False)]
    pupil = labels == PUPIL
    if pupil.any() and _contains(pupil, sclera):
        return [("has its sclera inside its pupil", "declare the dataset's `colours`: they seem to be swapped", False)]
    return []


def measure_eye(image: np.ndarray, labels: np.ndarray) -> dict:
    """The manifest's numbers of one (H, W, 3) image and its (H, W) labels, at native size."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    red, green, blue, _ = cv2.mean(image)
    return {
        "height": image.shape[0],
        "width": image.shape[1],
        "sclera": round(float((labels == SCLERA).mean()), 6),
        "brightness": round(float(grey.mean()), 3),
        "red": round(float(red), 3),
        "green": round(float(green), 3),
        "blue": round(float(blue), 3),
        "blur": round(float(cv2.Laplacian(grey, cv2.CV_64F).var()), 3),  # falls with blur, and with resolution
        "tone": round(skin_tone(image, labels), 1),
        "phash": perceptual_hash(image),
    }


def skin_tone(image: np.ndarray, labels: np.ndarray) -> float:
    """Individual typology angle in degrees (Chardon et al. 1991) of what surrounds the eye: high is fair, low is dark.

    Median colour outside the box of the labelled parts, or of the whole frame where nothing is left. It is measured on
    a picture, so that dim or coloured light moves it as skin does."""
    step = max(1, round(np.sqrt(labels.size / TONE_PIXELS)))
    image, labels = image[::step, ::step], labels[::step, ::step]
    skin = np.ones(labels.shape, bool)
    if labels.any():
        left, top, width, height = cv2.boundingRect(labels)
        skin[top : top + height, left : left + width] = False
    chosen = image[skin] if skin.any() else image.reshape(-1, 3)
    lab = cv2.cvtColor((chosen[None] / 255).astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    light, _, yellow = np.median(lab, axis=0)
    return float(np.degrees(np.arctan2(light - 50, max(yellow, 1e-3))))  # blue light leaves no yellow to go by


def save_manifest(cfg: Config, manifest: pd.DataFrame, findings: pd.DataFrame) -> None:
    """Write manifest.csv and findings.csv into the config's cache folder, each atomically."""
    write_csv(manifest, paths.manifest_csv(cfg.name))
    write_csv(findings, paths.findings_csv(cfg.name))


def _contains(outer: np.ndarray, inner: np.ndarray) -> bool:
    """True when the bounding box of `inner` lies within that of `outer`."""
    (y, x), (v, u) = np.nonzero(outer), np.nonzero(inner)
    return bool(y.min() <= v.min() and v.max() <= y.max() and x.min() <= u.min() and u.max() <= x.max())


def _name_uniquely(rows: list[dict]) -> None:
    """Give rows their image_id: dataset and path without "Images" and extension; both stay where two would be equal."""
    for row in rows:
        path = PurePosixPath(row["image"])
        kept = [part for part in path.parts[:-1] if part.lower() != "images"]
        row["image_id"] = "/".join([row["dataset"], *kept, path.stem])
    count = Counter(row["image_id"] for row in rows)
    for row in rows:
        if count[row["image_id"]] > 1:
            row["image_id"] = f"{row['dataset']}/{row['image']}"


def _duplicates(rows: list[dict]) -> list[tuple]:
    """Findings about images with the same bytes as an earlier one."""
    first, findings = {}, []
    for row in sorted(rows, key=lambda row: row["image_id"]):
        other = first.setdefault(row["image_sha256"], row["image_id"])
        if other != row["image_id"]:
            mend = f"keep one, this or {other}; two parts of a split must not share it"
            findings.append((row["dataset"], row["image"], "has the same bytes as another image", mend, True))
    return findings
