"""What a training draws, and in which order: a pure function of the config, the run and the epoch.

training_set(cfg, run, cache, ids) -> Dataset; EpochSampler -> its order; first_entries -> some to look at."""

from collections.abc import Sequence

import albumentations as A
import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from cgdseg.config import Config, Run, Training
from cgdseg.data.augment import reseed, slides_augmentation
from cgdseg.data.cache import PixelCache, open_cache
from cgdseg.data.standins import stand_in_factors
from cgdseg.data.stored import part_ids
from cgdseg.eyes import render_eye


class EyeDataset(Dataset):
    """Images of a PixelCache by id, augmented by a pure function of (augment.seed, epoch, position)."""

    def __init__(self, cache: PixelCache, image_ids: Sequence[str], augment: A.Compose | None = None):
        if augment is not None and augment.seed is None:
            raise ValueError("augment has no seed: build it with slides_augmentation(seed)")
        self.cache = cache
        self.rows = [cache.row(image_id) for image_id in image_ids]
        self.augment = augment
        # in shared memory, so that workers that outlive an epoch see the next one
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch's augmentations; call it before iterating."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> dict[str, torch.Tensor | int]:
        row = self.rows[position % len(self.rows)]
        image, labels = self.cache.read(row)
        if self.augment is not None:
            reseed(self.augment, self.augment.seed, int(self._epoch), position)
            result = self.augment(image=image, mask=labels)
            image, labels = result["image"], result["mask"]
        images = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return {"images": images, "labels": torch.from_numpy(np.ascontiguousarray(labels)), "row": row}


class EpochSampler(Sampler[int]):
    """A permutation that depends on (seed, epoch) alone, so that a resumed epoch draws the same batches.

    `drawn`: how many positions an epoch draws, if not all n: fewer, or as many passes more as it takes, each with
    positions of its own (the entry is the position modulo n), so that no entry is augmented alike twice."""

    def __init__(self, n: int, seed: int, drawn: int | None = None):
        self.n, self.seed, self.epoch, self.drawn = n, seed, 0, drawn or n

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.drawn

    def __iter__(self):
        rng, passes = np.random.default_rng([self.seed, self.epoch]), -(-self.drawn // self.n)
        order = np.concatenate([number * self.n + rng.permutation(self.n) for number in range(passes)])
        return iter(order[: self.drawn].tolist())


def training_set(cfg: Config, run: Run, cache: PixelCache, ids: list[str]) -> Dataset:
    """Eyes rendered afresh where the config streams them, else the images `ids`, augmented as it says."""
    if cfg.streamed(run):
        return RenderedEyes(cfg, run)
    return EyeDataset(cache, ids, chosen_augmentation(cfg.training, run.seed))


def chosen_augmentation(settings: Training, seed: int) -> A.Compose | None:
    """What `settings.augment` asks for."""
    return None if settings.augment == "none" else slides_augmentation(seed, settings.augment == "upright")


def first_entries(cfg: Config, run: Run, n: int = 6) -> list[tuple[np.ndarray, np.ndarray]]:
    """The first n entries of the first epoch as the network gets them: (H, W, 3) uint8 and labels (H, W)."""
    cache = open_cache(cfg, cfg.systems[run.system].input_size)
    entries = training_set(cfg, run, cache, part_ids(cfg, run.condition, "train"))
    order = EpochSampler(len(entries), run.seed, cfg.training.drawn)
    for each in (entries, order):
        each.set_epoch(1)
    drawn = [entries[position] for position in list(order)[:n]]
    return [(entry["images"].numpy().transpose(1, 2, 0), entry["labels"].numpy()) for entry in drawn]


STREAM = 1_000_003  # keeps streamed eyes apart from those of the stand-ins' own seeds


class RenderedEyes(Dataset):
    """cfg.streamed(run) eyes an epoch, never the same twice, in the looks of the condition's stand-ins by turns.

    They are not augmented: a look says what varies."""

    def __init__(self, cfg: Config, run: Run):
        stand_ins = [cfg.datasets[name].stand_in for name in cfg.conditions[run.condition]]
        if None in stand_ins:
            raise ValueError(f"training.stream: the condition {run.condition} has a dataset that is no stand-in")
        self.looks = [stand_in_factors(spec) for spec in stand_ins]
        self.size = cfg.systems[run.system].input_size
        self.n, self.seed = cfg.streamed(run), STREAM + run.seed
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # seen by workers that outlive an epoch

    def set_epoch(self, epoch: int) -> None:
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, position: int) -> dict[str, torch.Tensor]:
        index = int(self._epoch) * self.n + position
        eye = render_eye(self.looks[index % len(self.looks)], self.seed, index, size=self.size)
        images = torch.from_numpy(eye.image.transpose(2, 0, 1).copy())
        return {"images": images, "labels": torch.from_numpy(eye.labels)}
