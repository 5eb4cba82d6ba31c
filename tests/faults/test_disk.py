"""Full, limited, read-only and forbidden disks, under everything that writes: one line that names the path, and what
was there before still there, byte for byte.

As root on Linux the disk is a small tmpfs of its own: really filled, really mounted read-only. The limit on file sizes
needs no rights; forbidden folders are written as the user nobody."""

import contextlib
import os
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import toys
from tiny_data import make_config, save_pair

from cgdseg import paths
from cgdseg.config import StandIn, Training, load_config
from cgdseg.data import cache, manifest, standins
from cgdseg.folders import predict
from cgdseg.models import weights
from cgdseg.report import index as site
from cgdseg.report import jobs, pages, runner
from cgdseg.report.outputs import Outputs
from cgdseg.training import resume
from cgdseg.training.objectives import Segmentation
from cgdseg.training.session import new_learner, start_accelerator

NOBODY = 65534
AS_ROOT = os.geteuid() == 0 and shutil.which("mount") is not None


@contextlib.contextmanager
def full(home):
    with open(home / "filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"0" * 4096):
            pass
    try:
        yield
    finally:
        (home / "filler").unlink()


@contextlib.contextmanager
def limited(home):
    """No file may grow beyond its first bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def read_only(home):
    subprocess.run(["mount", "-o", "remount,ro", home], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", home], check=True)


@contextlib.contextmanager
def forbidden(home):
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


FAULTS = {"full disk": full, "limit on file sizes": limited, "read-only disk": read_only, "forbidden folder": forbidden}


@pytest.fixture
def disk(monkeypatch):
    """HOME on a disk of 4 MB, where this process may mount one; else in a folder."""
    home = Path(tempfile.mkdtemp(prefix="cgdseg-disk-")).resolve()
    home.chmod(0o755)
    mounted = AS_ROOT and not subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", home]).returncode
    monkeypatch.setattr(paths, "HOME", home)
    monkeypatch.setattr(paths, "NOTEBOOKS", home / "notebooks")
    monkeypatch.setenv("CGDSEG_HOME", str(home))
    (home / "toy.yaml").write_text(toys.CONFIG)
    yield home, mounted
    if mounted:
        subprocess.run(["umount", "--lazy", home], check=True)
    shutil.rmtree(home)


# what writes: a function of the folder that prepares and returns write(version)


def checkpoint(home):
    return lambda version: weights.save(home / "run/c.safetensors", {"a": torch.full((999,), version)}, {})


def training_state(home):
    cfg = load_config(home / "toy.yaml")
    learner = new_learner(
        start_accelerator(Training()), Segmentation(cfg.systems["unet"], Training()), Training(), seed=0
    )
    return lambda version: resume.save_progress(
        home / "run", "mark", learner, resume.Progress(version, [{"epoch": version, "val_f1": 0.5}]), True
    )


def a_dataset(home):
    for i in range(3):
        save_pair(home / f"D/Images/{i}.png", home / f"D/Masks/{i}.png", seed=i)
    cfg = make_config(home, {"D": {"layout": "plain", "domain": "real"}}, {"c": ["D"]})
    return cfg, *manifest.build_manifest(cfg, progress=False)


def pixel_cache(home):
    cfg, eyes, _ = a_dataset(home)
    return lambda version: cache.build_cache(cfg, eyes.iloc[version:], (40, 56), progress=False)


def manifest_and_findings(home):
    cfg, eyes, findings = a_dataset(home)
    return lambda version: manifest.save_manifest(cfg, eyes.iloc[version:], findings)


def stand_in(home):
    """Two eyes, of which the second is missing and rendered again."""
    dataset = load_config(home / "toy.yaml").datasets["eyes"]
    look = StandIn(look="syncroi", n_images=2, size=(48, 64))
    dataset = dataset.model_copy(update={"stand_in": look})

    def write(version):
        standins.write_stand_in(dataset, progress=False)
        for path in dataset.folder.rglob("1.png"):
            path.unlink()

    return write


def table(home):
    out = Outputs(load_config(home / "toy.yaml"), "04_evaluation")
    return lambda version: out.table(pd.DataFrame({"f1": [version] * 9}), "scores", "Scores")


def page(home):
    path = toys.write_notebook(home / "notebooks/04_evaluation.ipynb")
    executed = paths.executed_dir("toy") / path.name
    executed.parent.mkdir(parents=True)
    executed.write_bytes(path.read_bytes())
    return lambda version: pages.write_page(executed)


def index(home):
    return lambda version: site.write_index(home / "toy.yaml")


def prediction(home):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 60)).astype(np.uint8)
    return lambda version: predict.write_png(home / "out/Predictions/eye.png", pixels + version)


WRITERS = [checkpoint, training_state, pixel_cache, manifest_and_findings, stand_in, table, page, index, prediction]
QUICK = {("full disk", checkpoint), ("read-only disk", table), ("limit on file sizes", pixel_cache)}
CASES = [
    pytest.param(fault, writer, id=f"{fault}-{writer.__name__}", marks=[] if quick else pytest.mark.faults)
    for fault in FAULTS
    for writer in WRITERS
    for quick in [(fault, writer) in QUICK]
]


def state(home) -> dict[str, bytes]:
    """Every file; locks and what belongs to this test itself left out."""
    names = [path for path in home.rglob("*") if path.is_file() and path.name != "filler"]
    return {str(path): path.read_bytes() for path in names if not path.name.endswith(".lock")}


@pytest.mark.parametrize(("fault", "writer"), CASES)
def test_what_cannot_be_written_is_named_and_harms_nothing(disk, fault, writer, count):
    home, mounted = disk
    if not mounted and fault != "limit on file sizes":
        pytest.skip("needs the right to mount a tmpfs")
    write = writer(home)
    write(1)
    before = state(home)
    with FAULTS[fault](home), pytest.raises(OSError) as caught:
        write(2)
    words = str(caught.value)
    assert "\n" not in words and str(home) in words and "could not be written" in words
    assert {name: content for name, content in state(home).items() if name in before} == before
    new = set(state(home)) - set(before)
    assert all("run/" in name for name in new), new  # of several files, those that were whole may stay
    write(2)
    count(f"{fault}, while something is written", 1)


@pytest.mark.faults
@pytest.mark.parametrize("fault", ["full disk", "read-only disk"])
def test_a_notebook_on_such_a_disk(disk, fault, count):
    """papermill, its kernel and our ledger all write there; what stood before still stands after."""
    home, mounted = disk
    if not mounted:
        pytest.skip("needs the right to mount a tmpfs")
    path = toys.write_notebook(home / "notebooks/07_toy.ipynb", toys.table())
    this = jobs.make_job(path, home / "toy.yaml")
    runner.run_notebook(this)
    path.write_text(path.read_text().replace("42", "43"))
    before = state(home)
    with FAULTS[fault](home), pytest.raises((runner.NotebookError, OSError)) as caught:
        runner.run_notebook(jobs.make_job(path, home / "toy.yaml"))
    assert "No space left" in str(caught.value) or "Read-only file system" in str(caught.value)
    after = state(home)
    assert all(after[name] == content for name, content in before.items() if not name.endswith(".part.ipynb"))
    assert jobs.make_job(path, home / "toy.yaml").why()
    runner.run_notebook(jobs.make_job(path, home / "toy.yaml"))
    count(f"{fault}, while something is written", 1)
