"""What a training draws, and in which order: a pure function of the config, the run and the epoch.

training_set(cfg, run, cache, ids) -> Dataset; EpochSampler -> its order; first_entries -> some to look at."""

import albumentations as A
import numpy as np
from torch.utils.data import Dataset, Sampler

from cgdseg.config import Config, Run, Training
from cgdseg.data.augment import slides_augmentation
from cgdseg.data.cache import PixelCache, open_cache
from cgdseg.data.dataset import EyeDataset
from cgdseg.data.splits import part_ids
from cgdseg.data.stream import RenderedEyes


class EpochSampler(Sampler[int]):
    """A permutation that depends on (seed, epoch) alone, so that a resumed epoch draws the same batches."""

    def __init__(self, n: int, seed: int):
        self.n, self.seed, self.epoch = n, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n

    def __iter__(self):
        return iter(np.random.default_rng([self.seed, self.epoch]).permutation(self.n).tolist())


def training_set(cfg: Config, run: Run, cache: PixelCache, ids: list[str]) -> Dataset:
    """Eyes rendered afresh where the config streams them, else the images `ids`, augmented as it says."""
    return RenderedEyes(cfg, run) if cfg.streamed(run) else EyeDataset(cache, ids, augmentation(cfg.training, run.seed))


def augmentation(settings: Training, seed: int) -> A.Compose | None:
    """What `settings.augment` asks for."""
    return None if settings.augment == "none" else slides_augmentation(seed, settings.augment == "upright")


def first_entries(cfg: Config, run: Run, n: int = 6) -> list[tuple[np.ndarray, np.ndarray]]:
    """The first n entries of the first epoch as the network gets them: (H, W, 3) uint8 and labels (H, W)."""
    cache = open_cache(cfg, cfg.systems[run.system].input_size)
    entries = training_set(cfg, run, cache, part_ids(cfg, run.condition, "train"))
    order = EpochSampler(len(entries), run.seed)
    for each in (entries, order):
        each.set_epoch(1)
    drawn = [entries[position] for position in list(order)[:n]]
    return [(entry["images"].numpy().transpose(1, 2, 0), entry["labels"].numpy()) for entry in drawn]
