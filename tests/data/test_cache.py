"""Pixel cache, augmentations and dataset: right pixels, right chances, and the same whatever the workers."""

import json
import os
import pickle
import shutil
import warnings

import albumentations as A
import cv2
import numpy as np
import pytest
import torch
from tiny_data import draw_eye, save, three_domains
from torch.utils.data import DataLoader

from cgdseg import paths
from cgdseg.data.augment import SLIDES, QuarterTurn, apply_one, reseed, slides_augmentation
from cgdseg.data.batches import EyeDataset
from cgdseg.data.cache import PixelCache, build_cache, open_cache
from cgdseg.data.images import BadFile, read_image, read_labels, resize_image, resize_labels
from cgdseg.data.manifest import build_manifest, save_manifest
from cgdseg.loops import in_parallel

SIZE = (40, 56)
GEOMETRIC = {"horizontal flip", "vertical flip", "rotation", "quarter turn"}
IMAGE, LABELS = draw_eye(5, (64, 96))


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A config with its files and manifest on disk."""
    monkeypatch.setattr(paths, "HOME", tmp_path)
    cfg = three_domains(tmp_path)
    manifest, findings = build_manifest(cfg, progress=False)
    save_manifest(cfg, manifest, findings)
    return cfg, manifest


# cache


@pytest.mark.parametrize("n_workers", [1, 2])
def test_cache_holds_what_the_files_hold(data, n_workers):
    cfg, manifest = data
    cache = build_cache(cfg, manifest, SIZE, n_workers=n_workers, progress=False)
    assert cache.images.shape == (50, *SIZE, 3) and cache.labels.shape == (50, *SIZE) and len(cache) == 50
    for pair in manifest.itertuples():
        folder, row = cfg.datasets[pair.dataset].folder, cache.row(pair.image_id)
        assert np.array_equal(cache.images[row], resize_image(read_image(folder / pair.image), SIZE))
        assert np.array_equal(cache.labels[row], resize_labels(read_labels(folder / pair.mask), SIZE))
    with pytest.raises(KeyError, match="MASD/nobody"):
        cache.row("MASD/nobody")


def test_cache_is_read_only_and_travels_by_name(data):
    cache = build_cache(*data, SIZE, progress=False)
    with pytest.raises(ValueError, match="read-only"):
        cache.images[0] = 0
    for row in (0, 7, -1):
        image, labels = cache.read(row)
        assert np.array_equal(image, cache.images[row]) and np.array_equal(labels, cache.labels[row])
    with pytest.raises(IndexError):
        cache.read(len(cache))
    assert len(pickle.dumps(cache)) < 1000  # a path, not pixels
    again = pickle.loads(pickle.dumps(cache))
    assert np.array_equal(again.images, cache.images) and again.digest == cache.digest


def test_cache_is_built_once_and_anew_when_its_inputs_change(data):
    cfg, manifest = data
    folder = build_cache(cfg, manifest, SIZE, progress=False).folder
    before = os.stat(folder / "images.npy").st_mtime_ns
    build_cache(cfg, manifest, SIZE, progress=False)
    assert os.stat(folder / "images.npy").st_mtime_ns == before
    fewer = build_cache(cfg, manifest.iloc[:-1], SIZE, progress=False)
    assert len(fewer) == 49 and os.stat(folder / "images.npy").st_mtime_ns != before
    with pytest.raises(ValueError, match="out of date"):
        open_cache(cfg, SIZE)
    build_cache(cfg, manifest, SIZE, progress=False)
    assert len(open_cache(cfg, SIZE)) == 50
    (folder / "meta.json").write_text("{")
    assert len(build_cache(cfg, manifest, SIZE, progress=False)) == 50


def test_a_truncated_cache_is_built_again(data):
    folder = build_cache(*data, SIZE, progress=False).folder
    (folder / "images.npy").write_bytes((folder / "images.npy").read_bytes()[:5000])
    assert build_cache(*data, SIZE, progress=False).images[-1].any()


def test_a_file_that_changed_since_the_audit_stops_the_cache(data):
    cfg, manifest = data
    save(cfg.datasets["MASD"].folder / "Images" / "103L_s_1.jpg", draw_eye(999)[0])
    with pytest.raises(BadFile, match="103L_s_1.jpg has changed"):
        build_cache(cfg, manifest, SIZE, progress=False)
    assert not list(paths.cache_dir(cfg.name).glob("pixels*"))  # nothing half done stays
    with pytest.raises(FileNotFoundError, match="01_data_audit"):
        open_cache(cfg, SIZE)


def test_leftovers_of_killed_builders_are_swept(data):
    folder = paths.pixels_dir("tiny", SIZE)
    dead, alive = (folder.with_name(f"{folder.name}.{pid}.part") for pid in (2**22 + 5, os.getppid()))
    dead.mkdir(parents=True)
    alive.mkdir()
    build_cache(*data, SIZE, progress=False)
    assert not dead.exists() and alive.exists()


def test_a_full_disk_is_an_error_and_leaves_nothing(data, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        build_cache(*data, SIZE, progress=False)
    assert not list(paths.cache_dir("tiny").glob("pixels*"))


def test_nothing_to_decode_is_said(data):
    with pytest.raises(ValueError, match="no usable pair"):
        build_cache(data[0], data[1].iloc[:0], SIZE, progress=False)


def test_pickles_are_refused(data):
    folder = build_cache(*data, SIZE, progress=False).folder
    np.save(folder / "labels.npy", np.array([{"code": 1}], dtype=object))
    with pytest.raises(ValueError, match="[Pp]ickle|object"):
        PixelCache(folder)


def test_parallel_map_keeps_the_order():
    assert list(in_parallel(abs, range(-40, 0), n_workers=2)) == list(range(40, 0, -1))
    with pytest.raises(TypeError):
        list(in_parallel(len, range(40), n_workers=2))


# augmentations


def test_the_table_is_the_slides():
    chances = [0.5, 0.3, 0.4, 0.15, 0.6, 0.4, 0.3, 0.25, 0.25, 0.4, 0.25]
    assert [transform.p for transform in SLIDES.values()] == chances and A.__version__ == "2.0.8"


@pytest.mark.parametrize("size", [(64, 64), (63, 84), (48, 32)])
@pytest.mark.parametrize("name", SLIDES)
def test_every_transform_runs_and_keeps_masks_valid(name, size):
    image, labels = draw_eye(5, size)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = [apply_one(name, image, labels, seed) for seed in range(12)]
    for pixels, mask in results:
        assert pixels.shape == image.shape and mask.shape == labels.shape
        assert pixels.dtype == mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 1, 2, 3}
        assert np.array_equal(mask, labels) or name in GEOMETRIC
        assert (mask == 1).any()
    assert any(not np.array_equal(pixels, image) for pixels, _ in results)
    pixels, mask = apply_one(name, image, labels, 3)
    assert np.array_equal(pixels, results[3][0]) and np.array_equal(mask, results[3][1])


@pytest.mark.parametrize("name", sorted(GEOMETRIC))
@pytest.mark.parametrize("size", [(64, 64), (63, 84)])
def test_image_and_mask_move_together(name, size):
    _, labels = draw_eye(5, size)
    image = np.repeat((labels * 80)[..., None], 3, axis=2)
    for seed in range(6):
        pixels, mask = apply_one(name, image, labels, seed)
        assert (np.abs(pixels[..., 0].astype(int) - mask * 80) > 60).mean() < 0.03  # but for blended edges


def test_quarter_turns_are_all_three_and_exact_on_squares():
    square, labels = draw_eye(5, (64, 64))
    turns = {
        k
        for seed in range(20)
        for k in (1, 2, 3)
        if np.array_equal(apply_one("quarter turn", square, labels, seed)[0], np.rot90(square, k))
    }
    assert turns == {1, 2, 3}
    assert QuarterTurn()._turn(np.zeros((10, 20), np.uint8), 1, cv2.INTER_NEAREST_EXACT).shape == (10, 20)


def test_strengths_are_the_tables():
    grey = np.full((64, 64, 3), 100, np.uint8)
    labels = np.zeros((64, 64), np.uint8)
    names = ("brightness and contrast", "Gaussian noise", "specular highlights", "rectangles")
    many = {name: [apply_one(name, grey, labels, seed)[0].astype(float) for seed in range(150)] for name in names}
    shifts = [pixels.mean() for pixels in many["brightness and contrast"]]
    assert 50 <= min(shifts) < 65 and 135 < max(shifts) <= 150  # 0.8 x 100 - 30 to 1.2 x 100 + 30
    noise = [(pixels - 100).std() for pixels in many["Gaussian noise"]]
    assert 4.5 < min(noise) < 7 and 18 < max(noise) < 20.5  # the library cuts the noise towards zero
    peaks = [pixels.max() - 100 for pixels in many["specular highlights"]]
    assert max(peaks) <= 155 and sum(peak > 0.25 * 255 for peak in peaks) > 100
    assert all((pixels >= 100).all() for pixels in many["specular highlights"])
    counts = {len(np.unique(pixels.reshape(-1, 3), axis=0)) - 1 for pixels in many["rectangles"]}
    assert counts == {0, 1, 2, 3}


def test_hue_and_saturation_ranges():
    hsv = np.zeros((16, 16, 3), np.uint8)
    hsv[:] = (90, 150, 200)
    image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    labels = np.zeros((16, 16), np.uint8)
    seen = [apply_one("hue and saturation", image, labels, seed)[0] for seed in range(200)]
    hue, saturation, value = np.array([cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)[0, 0] for pixels in seen]).T.astype(int)
    assert 70 <= hue.min() <= 76 and 104 <= hue.max() <= 110
    assert 0.68 < saturation.min() / 150 < 0.74 and 1.26 < saturation.max() / 150 < 1.32
    assert np.ptp(value) <= 1


def test_blur_does_not_move_the_image():
    image = np.zeros((65, 65, 3), np.uint8)
    image[32, 32] = 255
    for seed in range(30):
        weights = apply_one("blur", image, image[..., 0], seed)[0][..., 0].astype(float)
        where = np.argwhere(weights > 0)
        centre = (where * weights[tuple(where.T)][:, None]).sum(axis=0) / weights.sum()
        assert np.abs(centre - 32).max() < 0.6


def test_transforms_are_drawn_independently():
    """Their rates are the table's, and one says nothing about another (the library's own seeding fails this)."""
    augment = slides_augmentation(seed=0)
    augment.transforms = [transform for transform in augment.transforms if not isinstance(transform, A.OneOf)]
    applied = []
    for item in range(1500):
        reseed(augment, 0, 0, item)
        augment(image=IMAGE[:32, :32].copy(), mask=LABELS[:32, :32].copy())
        applied.append([bool(transform.params) for transform in augment.transforms])
    applied = np.array(applied, float)
    assert np.abs(applied.mean(axis=0) - [transform.p for transform in augment.transforms]).max() < 0.05
    correlation = np.corrcoef(applied.T)
    assert np.abs(correlation - np.eye(len(correlation))).max() < 0.12


# dataset


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


def test_cache_meta_is_plain_json(data):
    folder = build_cache(*data, SIZE, progress=False).folder
    meta = json.loads((folder / "meta.json").read_text())
    assert meta["size"] == list(SIZE) and meta["image_ids"] == data[1]["image_id"].tolist()
    shutil.rmtree(folder)
