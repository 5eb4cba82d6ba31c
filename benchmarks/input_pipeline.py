"""Epochs from the pixel cache against decoding PNG files in each of them, and the memory that a large cache takes.

python benchmarks/input_pipeline.py [--json FILE]; ratio = seconds of an epoch that decodes / of one from the cache.
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

from cgdseg.data.batches import EyeDataset
from cgdseg.data.cache import PixelCache
from cgdseg.data.images import resize_image, resize_labels
from cgdseg.eyes import render_eye
from cgdseg.eyes.looks import LOOKS

SIDE, FILES, BATCH = 256, 200, 32
GROWTH = ((1000, 1), (10_000, 1), (50_000, 1), (1000, 2), (1000, 4), (1000, 8))  # images, workers


class DecodedEachTime(Dataset):
    """The same items as EyeDataset, from the files."""

    def __init__(self, folder: Path):
        self.pairs = [(path, folder / f"{path.stem}_mask.png") for path in sorted(folder.glob("*[0-9].png"))]

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


def write_files(folder: Path) -> None:
    for index in range(FILES):
        eye = render_eye(LOOKS["syncroi"], 0, index, size=(300, 400))
        cv2.imwrite(str(folder / f"{index:04}.png"), eye.image[..., ::-1])
        cv2.imwrite(str(folder / f"{index:04}_mask.png"), np.where(eye.labels == 1, 255, 0).astype(np.uint8))


def write_cache(folder: Path, items: Dataset | None, n: int) -> PixelCache:
    """A cache of n images in the format of cgdseg.data.cache; without items its pixels are a file's empty space."""
    folder.mkdir()
    shape = (n, SIDE, SIDE)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (*shape, 3))
    labels = np.lib.format.open_memmap(folder / "labels.npy", "w+", np.uint8, shape)
    for row in range(n if items else 0):
        images[row], labels[row] = items[row]["images"].permute(1, 2, 0), items[row]["labels"]
    ids = [f"eyes/{row:05}" for row in range(n)]
    (folder / "meta.json").write_text(json.dumps({"fingerprint": "", "image_ids": ids}))
    return PixelCache(folder)


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


def grow(folder: Path) -> dict[str, float]:
    caches = {n: write_cache(folder / f"cache-{n}", None, n) and folder / f"cache-{n}" for n, _ in GROWTH[:3]}
    found = {}
    for n, n_workers in GROWTH:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            found[f"{n} images, {n_workers} workers"] = pool.submit(most_mib, caches[n], n_workers).result()
    return found


def main() -> None:
    chosen = options(__doc__).parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "files").mkdir()
        write_files(folder / "files")
        files = DecodedEachTime(folder / "files")
        start = time.perf_counter()
        cache = write_cache(folder / "cache", files, FILES)
        once = time.perf_counter() - start
        cached = EyeDataset(cache, cache.image_ids)
        for row in (0, FILES - 1):
            assert all(torch.equal(files[row][key], cached[row][key]) for key in ("images", "labels"))
        seconds = by_turns({"decoded": lambda: epoch(files), "cached": lambda: epoch(cached)}, rounds=5)
        memory = grow(folder)
    result = {
        "ratio": seconds["decoded"] / seconds["cached"],
        "ms_an_image": {form: 1000 * took / FILES for form, took in seconds.items()},
        "ms_to_fill_the_cache": 1000 * once / FILES,
        "peak_MiB": memory,
        "growth": max(memory.values()) / min(memory.values()) - 1,
    }
    report(result, chosen.json)


if __name__ == "__main__":
    main()
