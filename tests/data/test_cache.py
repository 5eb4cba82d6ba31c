"""Pixel cache: right pixels, built once, whole or not at all."""

import json
import os
import pickle
import shutil
import socket

import numpy as np
import pytest
from tiny_data import draw_eye, save

from cgdseg import paths
from cgdseg.data.cache import PixelCache, build_cache, open_cache
from cgdseg.data.images import BadFile, read_image, read_labels, resize_image, resize_labels
from cgdseg.loops import in_parallel

SIZE = (40, 56)


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
    assert not list(paths.cache_dir(cfg.name).glob("*pixels*"))  # nothing half done stays
    with pytest.raises(FileNotFoundError, match="01_data_audit"):
        open_cache(cfg, SIZE)


def test_leftovers_of_killed_builders_are_swept(data):
    folder = paths.pixels_dir("tiny", SIZE)
    ours = f".{folder.name}.{socket.gethostname()}"
    dead, alive = (folder.with_name(f"{ours}.{pid}.part") for pid in (2**22 + 5, os.getppid()))
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
    assert not list(paths.cache_dir("tiny").glob("*pixels*"))


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


def test_cache_meta_is_plain_json(data):
    folder = build_cache(*data, SIZE, progress=False).folder
    meta = json.loads((folder / "meta.json").read_text())
    assert meta["size"] == list(SIZE) and meta["image_ids"] == data[1]["image_id"].tolist()
    shutil.rmtree(folder)
