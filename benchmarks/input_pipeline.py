"""Epochs from the pixel cache against decoding PNG files in each of them, and the memory that a large cache takes.

python benchmarks/input_pipeline.py [--json FILE] [--files 200] [--images 1000 10000 50000] [--workers 2 4 8]
ratio = seconds of an epoch that decodes / of one from the cache.
Memory is what one process holds at most, the loader's or a worker's, over a whole epoch at 256x256."""

import json
import multiprocessing
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from measure import by_turns, held, options, report
from torch.utils.data import DataLoader, Dataset

from cgdseg import paths
from cgdseg.config.datasets import Dataset as Folder
from cgdseg.config.schema import Config
from cgdseg.config.systems import UNet
from cgdseg.data.batches import EyeDataset
from cgdseg.data.cache import PixelCache, build_cache
from cgdseg.data.images import resize_image, resize_labels
from cgdseg.data.manifest import build_manifest
from cgdseg.eyes import render_eye
from cgdseg.eyes.looks import LOOKS

SIDE, BATCH = 256, 32


class DecodedEachTime(Dataset):
    """The same items as EyeDataset, from the files."""

    def __init__(self, folder: Path):
        self.pairs = [(path, folder / "Masks" / path.name) for path in sorted((folder / "Images").iterdir())]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, position: int) -> dict[str, torch.Tensor | int]:
        image, mask = self.pairs[position]
        pixels = resize_image(cv2.cvtColor(cv2.imread(str(image)), cv2.COLOR_BGR2RGB), (SIDE, SIDE))
        white = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE) == 255
        labels = resize_labels(white.astype(np.uint8), (SIDE, SIDE))
        return {
            "images": torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))),
            "labels": torch.from_numpy(labels),
            "row": position,
        }


def write_files(folder: Path, n: int) -> Config:
    """n rendered eyes as files of the layout plain, and a config that names them."""
    for kind in ("Images", "Masks"):
        (folder / kind).mkdir(parents=True)
    for index in range(n):
        eye = render_eye(LOOKS["syncroi"], 0, index, size=(300, 400))
        cv2.imwrite(str(folder / f"Images/{index:04}.png"), eye.image[..., ::-1])
        cv2.imwrite(str(folder / f"Masks/{index:04}.png"), np.where(eye.labels == 1, 255, 0).astype(np.uint8))
    eyes = Folder(layout="plain", root=folder, domain="synthetic")
    return Config(name="bench", datasets={"eyes": eyes}, conditions={}, systems={"unet": UNet(input_size=(SIDE, SIDE))})


def grown(cache: PixelCache, folder: Path, n: int) -> Path:
    """A cache of n images, described as `cache` is; its pixels are a file's empty space."""
    folder.mkdir()
    for name, shape in (("images", (n, SIDE, SIDE, 3)), ("labels", (n, SIDE, SIDE))):
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.uint8, shape)
    about = json.loads((cache.folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(about | {"image_ids": [f"eyes/{row:05}" for row in range(n)]}))
    return folder


def epoch(dataset: Dataset, n_workers: int = 0) -> int:
    torch.set_num_threads(1)
    return sum(len(batch["images"]) for batch in DataLoader(dataset, BATCH, shuffle=True, num_workers=n_workers))


def most_mib(folder: Path, n_workers: int) -> float:
    """The most that this process or one of its workers held over an epoch."""
    warnings.filterwarnings("ignore", message="This DataLoader will create")  # more workers than cores: that is asked
    cache = PixelCache(folder)
    dataset = EyeDataset(cache, cache.image_ids)
    loader = DataLoader(dataset, BATCH, shuffle=True, num_workers=n_workers, persistent_workers=True)
    for _ in loader:
        pass
    return max(held("self"), *(held(worker.pid) for worker in multiprocessing.active_children()))


def grow(cache: PixelCache, folder: Path, images: list[int], workers: list[int]) -> dict[str, float]:
    """MiB of more and more images read by one worker, then of the fewest read by more and more."""
    caches = {n: grown(cache, folder / f"cache-{n}", n) for n in images}
    found = {}
    for n, n_workers in [*((n, 1) for n in images), *((images[0], n) for n in workers if n > 1)]:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            found[f"{n} images, {n_workers} workers"] = pool.submit(most_mib, caches[n], n_workers).result()
    return found


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000, 50_000], help="sizes of large caches")
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4, 8], help="beside one, on the first of them")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = paths.HOME = Path(name)
        cfg = write_files(folder / "files", chosen.files)
        eyes, _ = build_manifest(cfg, progress=False)
        files = DecodedEachTime(folder / "files")
        start = time.perf_counter()
        cache = build_cache(cfg, eyes, (SIDE, SIDE), n_workers=1, progress=False)
        once = time.perf_counter() - start
        cached = EyeDataset(cache, cache.image_ids)
        for row in (0, chosen.files - 1):
            assert all(torch.equal(files[row][key], cached[row][key]) for key in ("images", "labels"))
        seconds = by_turns({"decoded": lambda: epoch(files), "cached": lambda: epoch(cached)}, rounds=5)
        memory = grow(cache, folder, chosen.images, chosen.workers)
    result = {
        "ratio": seconds["decoded"] / seconds["cached"],
        "ms_an_image": {form: 1000 * took / chosen.files for form, took in seconds.items()},
        "ms_to_fill_the_cache": 1000 * once / chosen.files,
        "peak_MiB": memory,
        "growth": max(memory.values()) / min(memory.values()) - 1,
    }
    report(result, chosen.json)


if __name__ == "__main__":
    main()
