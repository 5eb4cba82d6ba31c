"""Training items from the pixel cache.

Item: {"images": uint8 tensor (3, H, W), "labels": uint8 tensor (H, W), "row": int}, row counting in the cache."""

from collections.abc import Sequence

import albumentations as A
import numpy as np
import torch
from torch.utils.data import Dataset

from cgdseg.data.augment import reseed
from cgdseg.data.cache import PixelCache


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
        row = self.rows[position]
        image, labels = self.cache.read(row)
        if self.augment is not None:
            reseed(self.augment, self.augment.seed, int(self._epoch), position)
            result = self.augment(image=image, mask=labels)
            image, labels = result["image"], result["mask"]
        images = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return {"images": images, "labels": torch.from_numpy(np.ascontiguousarray(labels)), "row": row}
