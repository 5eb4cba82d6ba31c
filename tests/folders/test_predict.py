"""Prediction of files, by function and by command line."""

import json
import shutil

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from cgdseg.cli.shared import app
from cgdseg.folders.pairing import BINARY, PROBABILITIES
from cgdseg.folders.predict import predict_folder
from cgdseg.models.predictor import load_segmenter
from cgdseg.models.weights import BrokenCheckpoint
from cgdseg.training import loop, runs


@pytest.fixture
def run_folder(tiny_config):
    run = tiny_config.run("unet", "synthetic", 42)
    loop.train(tiny_config, run)
    return runs.run_folder(tiny_config, run)


@pytest.fixture
def photos(home):
    return home / "Photos" / "Images"


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_prediction_is_the_models_probability_at_any_size(run_folder):
    segmenter = load_segmenter(run_folder)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (60, 80, 3), np.uint8), rng.integers(0, 255, (30, 31, 3), np.uint8)]
    native = segmenter.predict(images)
    assert [p.shape for p in native] == [(1, 60, 80), (1, 30, 31)]
    assert all(p.dtype == np.float32 and p.min() >= 0 and p.max() <= 1 for p in native)
    assert all(p.shape == (1, 300, 400) for p in segmenter.predict(images, size=(300, 400)))
    alone = segmenter.predict(images[:1])[0]
    assert np.allclose(alone, native[0], atol=1e-6)


def test_lower_precision_and_compiling_change_next_to_nothing(run_folder):
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    plain = load_segmenter(run_folder, device="cpu").predict([image])[0]
    half = load_segmenter(run_folder, device="cpu", precision="bf16").predict([image])[0]
    assert 0 < np.abs(half - plain).max() < 0.02
    with pytest.raises(ValueError, match="needs CUDA"):
        load_segmenter(run_folder, device="cpu", precision="fp16")
    if shutil.which("g++"):  # which compiling needs on a CPU
        compiled = load_segmenter(run_folder, device="cpu", compiled=True)
        assert hasattr(compiled.model, "_orig_mod") and np.allclose(compiled.predict([image])[0], plain, atol=1e-4)


def test_predict_writes_both_files_and_names_what_it_cannot_read(run_folder, photos, home):
    (photos / "broken.png").write_bytes(b"not an image")
    table = predict_folder(load_segmenter(run_folder), photos, home / "out")
    assert len(table) == 13
    broken = table.set_index("file").loc["broken.png"]
    assert "broken.png" in broken.problem
    probs = cv2.imread(str(home / "out" / PROBABILITIES / "3.png"), cv2.IMREAD_UNCHANGED)
    mask = cv2.imread(str(home / "out" / BINARY / "3.png"), cv2.IMREAD_UNCHANGED)
    assert probs.shape == mask.shape == (60, 80) and probs.dtype == np.uint8
    assert set(np.unique(mask)) <= {0, 255}
    assert not (home / "out" / BINARY / "broken.png").exists()


def test_two_images_of_one_stem_are_refused_before_anything_is_written(run_folder, photos, home):
    cv2.imwrite(str(photos / "3.jpg"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="3.jpg, 3.png"):
        predict_folder(load_segmenter(run_folder), photos, home / "out")
    assert not (home / "out").exists()


def test_an_altered_run_is_refused(run_folder):
    path = run_folder / "best.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(BrokenCheckpoint, match="altered"):
        load_segmenter(run_folder)


def test_an_unfinished_run_names_its_maker(home):
    with pytest.raises(FileNotFoundError, match="03_training"):
        load_segmenter(home / "data" / "runs" / "nothing")


def test_the_command_line_from_predict_to_score(run_folder, photos, home):
    done = invoke("predict", "--run", run_folder, "--images", photos, "--out", home / "out", "--size", "400x300")
    assert done.exit_code == 0, done.output
    assert cv2.imread(str(home / "out" / BINARY / "0.png"), cv2.IMREAD_UNCHANGED).shape == (300, 400)
    report = home / "scores.json"
    scored = invoke("score", "--predictions", home / "out", "--truth", photos.parent / "Masks", "--json", report)
    assert scored.exit_code == 0, scored.output
    content = json.loads(report.read_text())
    assert content["images"] == 12 and 0 <= content["mean"]["f1"] <= 1 and len(content["files"]) == 12


def test_the_command_line_names_bad_input(run_folder, photos, home):
    (photos / "broken.png").write_bytes(b"")
    done = invoke("predict", "--run", run_folder, "--images", photos, "--out", home / "out")
    assert done.exit_code == 1 and "broken.png" in done.output
    assert len(list((home / "out" / BINARY).iterdir())) == 12
    missing = invoke("predict", "--run", run_folder, "--images", home / "nowhere", "--out", home / "out")
    assert missing.exit_code == 1 and "nowhere" in missing.output and "Traceback" not in missing.output


def test_predictions_may_lie_in_the_folder_of_the_images(run_folder, photos):
    segmenter = load_segmenter(run_folder)
    for _ in range(2):
        assert len(predict_folder(segmenter, photos, photos)) == 12
