"""Items of a dataset: a function of seed, epoch and position, and the same whatever the workers."""

import albumentations as A
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from cgdseg.data.augment import slides_augmentation
from cgdseg.data.batches import EyeDataset
from cgdseg.data.cache import build_cache

SIZE = (40, 56)


@pytest.fixture
def eyes(data):
    cfg, manifest = data
    cache = build_cache(cfg, manifest, SIZE, progress=False)
    ids = manifest["image_id"].tolist() + manifest["image_id"].tolist()[:6]  # repeats, as in training
    return cache, ids


def everything(dataset, **options) -> list[torch.Tensor]:
    batches = list(DataLoader(dataset, batch_size=7, **options))
    return [torch.cat([batch[key] for batch in batches]) for key in ("images", "labels", "row")]


def same(one, two) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_items_without_augmentation_are_the_cache(eyes):
    cache, ids = eyes
    dataset = EyeDataset(cache, ids)
    item = dataset[52]
    row = cache.row(ids[52])
    assert item["row"] == row and item["images"].dtype == item["labels"].dtype == torch.uint8
    assert np.array_equal(item["images"].permute(1, 2, 0).numpy(), cache.images[row])
    assert np.array_equal(item["labels"].numpy(), cache.labels[row]) and len(dataset) == 56
    item["images"].zero_()
    assert dataset[52]["images"].any()


def test_augmentation_is_a_function_of_seed_epoch_and_position(eyes):
    cache, ids = eyes
    dataset = EyeDataset(cache, ids, slides_augmentation(1))
    first = everything(dataset)
    backwards = [dataset[position]["images"] for position in reversed(range(len(dataset)))]
    assert torch.equal(torch.stack(backwards[::-1]), first[0])  # the order of asking does not matter
    dataset.set_epoch(1)
    second = everything(dataset)
    assert not same(first, second)
    dataset.set_epoch(0)
    assert same(everything(dataset), first)
    assert not same(everything(EyeDataset(cache, ids, slides_augmentation(2))), first)
    resumed = EyeDataset(cache, ids, slides_augmentation(1))
    resumed.set_epoch(1)
    assert same(everything(resumed), second)
    assert not torch.equal(first[0][0], first[0][50])  # a repeated image is augmented afresh


@pytest.mark.parametrize(("method", "n_workers"), [("fork", 2), ("spawn", 1)])
def test_workers_change_nothing(eyes, method, n_workers):
    cache, ids = eyes
    dataset = EyeDataset(cache, ids, slides_augmentation(1))
    expected = []
    for epoch in range(2):
        dataset.set_epoch(epoch)
        expected.append(everything(dataset))
    workers = {"num_workers": n_workers, "persistent_workers": True, "multiprocessing_context": method}
    loader = DataLoader(dataset, batch_size=7, **workers)
    for epoch in range(2):  # workers that stay alive must hear of the new epoch
        dataset.set_epoch(epoch)
        batches = list(loader)
        got = [torch.cat([batch[key] for batch in batches]) for key in ("images", "labels", "row")]
        assert same(got, expected[epoch])


def test_an_augmentation_without_a_seed_is_refused(eyes):
    with pytest.raises(ValueError, match="seed"):
        EyeDataset(*eyes, A.Compose([A.HorizontalFlip()]))
