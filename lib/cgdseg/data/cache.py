"""Decoded pixels at one size in memory-mapped files, shared by all workers without copying.

On disk: images.npy uint8 (N, H, W, 3), labels.npy uint8 (N, H, W), meta.json (ids and a fingerprint of the inputs)."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from cgdseg import paths
from cgdseg.config import RGB, Config, Dataset, Size
from cgdseg.data.images import BadFile, load_image, load_labels, resize_image, resize_labels
from cgdseg.data.stored import load_manifest
from cgdseg.files import folder_atomic, saying_where
from cgdseg.labels import SCLERA
from cgdseg.loops import in_parallel

RULE = "area or bilinear images, nearest exact labels; 1"  # change it when decoding or resizing changes


class PixelCache:
    """Read-only `images` (N, H, W, 3) and `labels` (N, H, W) of `image_ids`; `row(image_id)` is the first index."""

    def __init__(self, folder: Path):
        meta = json.loads((folder / "meta.json").read_text())
        self.folder = folder
        self.digest: str = meta["fingerprint"]
        self.image_ids: list[str] = meta["image_ids"]
        shape = (len(self.image_ids), *meta["size"])
        self.images = _open(folder / "images.npy", (*shape, 3))
        self.labels = _open(folder / "labels.npy", shape)
        self._rows = {image_id: row for row, image_id in enumerate(self.image_ids)}

    def row(self, image_id: str) -> int:
        """Raises KeyError that names the cache when the image is not in it."""
        if image_id not in self._rows:
            raise KeyError(f"{image_id} is not in {paths.short(self.folder)}: run notebooks/01_data_audit.ipynb again")
        return self._rows[image_id]

    def image(self, image_id: str) -> np.ndarray:
        """The pixels (H, W, 3) of one image."""
        return self.images[self.row(image_id)]

    def sclera(self, image_ids: Iterable[str]) -> np.ndarray:
        """Where the sclera of some images is, (N, H, W) bool."""
        return self.labels[[self.row(image_id) for image_id in image_ids]] == SCLERA

    def __len__(self) -> int:
        return len(self.image_ids)

    def read(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """One image and its labels as arrays of their own, by plain reading.

        Pages read through the maps would count as memory of each process, up to the size of the whole cache."""
        return self._read(self.images, row), self._read(self.labels, row)

    def _read(self, stored: np.memmap, row: int) -> np.ndarray:
        shape = stored.shape[1:]
        n = int(np.prod(shape))
        offset = stored.offset + range(len(self))[row] * n
        return np.fromfile(stored.filename, np.uint8, n, offset=offset).reshape(shape)

    def __reduce__(self):
        return PixelCache, (self.folder,)  # a worker opens the files itself; pixels are never pickled

    @property
    def n_bytes(self) -> int:
        return self.images.nbytes + self.labels.nbytes


class DecodingJob(NamedTuple):
    """One pair to decode into one row of the cache in `folder`."""

    row: int
    image: Path
    mask: Path
    sha256: tuple[str, str]
    colours: dict[str, RGB] | None
    size: Size
    folder: Path


def build_cache(
    cfg: Config, manifest: pd.DataFrame, size: Size, n_workers: int | None = None, progress: bool = True
) -> PixelCache:
    """Decode and resize every pair of the manifest to size (H, W), unless an up-to-date cache is there.

    The cache appears complete or not at all. Raises BadFile when a file differs from its manifest row."""
    folder, wanted = paths.pixels_dir(cfg.name, size), cache_fingerprint(cfg, manifest, size)
    try:
        cache = PixelCache(folder)
        if cache.digest == wanted:
            return cache
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        pass  # absent or damaged: build it
    if manifest.empty:
        raise ValueError(f"config {cfg.name} has no usable pair to decode: see findings.csv")
    with folder_atomic(folder) as part:
        with saying_where(folder):
            _allocate(part / "images.npy", (len(manifest), *size, 3))
            _allocate(part / "labels.npy", (len(manifest), *size))
        jobs = _jobs(cfg.datasets, manifest, size, part)
        title = f"decoding to {size[0]}x{size[1]}" if progress else None
        for _ in in_parallel(_fill, jobs, n_workers or cfg.workers, title):
            pass
        meta = {"fingerprint": wanted, "size": list(size), "rule": RULE, "image_ids": manifest["image_id"].tolist()}
        with saying_where(folder):
            (part / "meta.json").write_text(json.dumps(meta))
    return PixelCache(folder)


def open_cache(cfg: Config, size: Size) -> PixelCache:
    """The cache notebook 01 built for (H, W); FileNotFoundError or ValueError when it is missing or out of date."""
    folder = paths.require(paths.pixels_dir(cfg.name, size), "01_data_audit")
    cache = PixelCache(folder)
    if cache.digest != cache_fingerprint(cfg, load_manifest(cfg), size):
        raise ValueError(f"{paths.short(folder)} is out of date: run notebooks/01_data_audit.ipynb again")
    return cache


def cache_fingerprint(cfg: Config, manifest: pd.DataFrame, size: Size) -> str:
    """SHA-256 of all that decides the cached pixels: ids, file hashes, colour tables, size and rule."""
    files = manifest[["image_id", "image_sha256", "mask_sha256"]].to_numpy().tolist()
    tables = {name: cfg.datasets[name].colours for name in sorted(manifest["dataset"].unique())}
    return hashlib.sha256(json.dumps([files, tables, list(size), RULE], sort_keys=True).encode()).hexdigest()


def _open(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """Map an array; ValueError unless it is what `read` takes for granted."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        fault = "" if (array.dtype, array.shape) == (np.uint8, shape) else f"{array.dtype} {array.shape}"
    except (ValueError, EOFError) as error:
        fault = str(error)
    if fault:
        raise ValueError(f"{paths.short(path)} is not uint8 {shape} ({fault}): run notebooks/01_data_audit.ipynb again")
    return array


def _jobs(datasets: dict[str, Dataset], manifest: pd.DataFrame, size: Size, part: Path) -> list[DecodingJob]:
    jobs = []
    for row, pair in enumerate(manifest.itertuples()):
        dataset = datasets[pair.dataset]
        job = DecodingJob(
            row=row,
            image=dataset.folder / pair.image,
            mask=dataset.folder / pair.mask,
            sha256=(pair.image_sha256, pair.mask_sha256),
            colours=dataset.colours,
            size=size,
            folder=part,
        )
        jobs.append(job)
    return jobs


def _fill(job: DecodingJob) -> None:
    """Decode one pair into its row."""
    image, labels = load_image(job.image), load_labels(job.mask, job.colours)
    for file, loaded, expected in zip((job.image, job.mask), (image, labels), job.sha256, strict=True):
        if loaded.sha256 != expected:
            raise BadFile(file, "has changed since the manifest was made", "run notebooks/01_data_audit.ipynb again")
    np.load(job.folder / "images.npy", mmap_mode="r+")[job.row] = resize_image(image.pixels, job.size)
    np.load(job.folder / "labels.npy", mmap_mode="r+")[job.row] = resize_labels(labels.pixels, job.size)


def _allocate(path: Path, shape: tuple[int, ...]) -> None:
    """Create an .npy of uint8 with its space taken: on a full disk, writing through a map would kill the process."""
    n_bytes = np.lib.format.open_memmap(path, "w+", np.uint8, shape).nbytes
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    elif shutil.disk_usage(path.parent).free < n_bytes:
        raise OSError(errno.ENOSPC, f"no space for {n_bytes:,} bytes", str(path))
