"""The release model: calibrated probabilities, a card filled by the numbers, prediction with nothing trained before."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pytest
from typer.testing import CliRunner

from cgdseg import paths
from cgdseg.cli.shared import app
from cgdseg.config import StandIn
from cgdseg.data import splits
from cgdseg.data.stored import load_manifest
from cgdseg.eyes import render_eye
from cgdseg.eyes.looks import LOOKS
from cgdseg.figures import scores as plots
from cgdseg.labels import SCLERA
from cgdseg.models.contract import sclera_of
from cgdseg.models.predictor import load_segmenter
from cgdseg.models.zoo.baselines import BASELINES
from cgdseg.report import release
from cgdseg.scoring.calibration import calibration_error, fit_temperature, reliability_of_pixels
from cgdseg.scoring.metrics import count_pixels, scores
from cgdseg.training import loop, runs


def test_reliability_counts_every_pixel_and_a_calibrated_map_has_no_error():
    rng = np.random.default_rng(0)
    probs = rng.random(400_000)
    truth = rng.random(400_000) < probs
    table = reliability_of_pixels(probs, truth)
    assert table.pixels.sum() == 400_000 and np.allclose(table.said, table.low + 0.05, atol=0.005)
    assert calibration_error(table) < 0.01
    overconfident = np.clip(2 * (probs - 0.5) + 0.5, 0, 1)
    assert calibration_error(reliability_of_pixels(overconfident, truth)) > 0.1


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_found_again(temperature):
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, 200_000)
    truth = rng.random(200_000) < 1 / (1 + np.exp(-logits))
    said = 1 / (1 + np.exp(-logits * temperature))
    assert fit_temperature(said, truth) == pytest.approx(temperature, rel=0.05)


def pairs(folder: Path) -> Path:
    """Three rendered eyes beside white masks <stem>_mask.png."""
    folder.mkdir()
    for index in range(3):
        eye = render_eye(LOOKS["syncroi"], 8, index, (60, 80))
        cv2.imwrite(str(folder / f"{index}.png"), eye.image[..., ::-1])
        cv2.imwrite(str(folder / f"{index}_mask.png"), np.where(eye.labels == 1, 255, 0).astype(np.uint8))
    return folder


def test_photographs_are_scored_beside_what_costs_nothing(tmp_path):
    table = release.photograph_scores(pairs(tmp_path / "photos"), paths.RELEASE)
    assert table.columns.tolist() == ["image", "model", "threshold", "ellipse"] and table.image.tolist() == list("012")
    assert (table.model > table[["threshold", "ellipse"]].max(axis=1)).all()
    plt.close(plots.release_picture(release.sample_pictures(n=2), table))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no photographs with masks"):
        release.photograph_scores(tmp_path / "empty", paths.RELEASE)


def test_publishing_writes_weights_card_and_temperature(tiny_config, home):
    halves = tiny_config.splits.model_copy(update={"val_fraction": 0.5})
    streamed = tiny_config.training.model_copy(update={"stream": {"synthetic": 8}, "epochs": 2})
    drawn = tiny_config.datasets["Drawn"].model_copy(update={"stand_in": StandIn(look="randomised", n_images=12)})
    changes = {"splits": halves, "training": streamed, "datasets": {**tiny_config.datasets, "Drawn": drawn}}
    tiny_config = tiny_config.model_copy(update=changes)
    splits.save_splits(tiny_config, splits.make_splits(load_manifest(tiny_config), tiny_config))
    run = tiny_config.run("unet", "synthetic", 42)
    loop.train(tiny_config, run)
    table, photographs = release.publish(tiny_config, run, home / "release", pairs(home / "photos"))
    card = (home / "release" / "MODEL_CARD.md").read_text()
    assert (
        f"on {len(photographs)} photo-like (generated) eyes, a development set" in card
        and f"{photographs.model.mean():.4f}" in card
    )
    made = json.loads((home / "release" / "run.json").read_text())
    assert table.part.tolist() == ["sclera"] and f"{table.F1[0]:.4f}" in card
    assert f"{made['temperature']:.3f}" in card and "commit" in card
    segmenter = load_segmenter(home / "release")
    assert segmenter.mirrored == made["mirrored"]
    assert segmenter.temperature == made["temperature"] != 1
    plain, image = load_segmenter(runs.run_folder(tiny_config, run)), np.full((60, 80, 3), 120, np.uint8)
    assert not np.allclose(segmenter.predict([image])[0], plain.predict([image])[0])


def test_eyes_that_trained_or_chose_do_not_score(tiny_config, home):
    run = tiny_config.run("unet", "synthetic", 42)
    loop.train(tiny_config, run)
    with pytest.raises(ValueError, match="set training.stream"):
        release.publish(tiny_config, run, home / "release")


def test_too_heavy_a_model_is_not_published(tiny_config, home, monkeypatch):
    run = tiny_config.run("unet", "synthetic", 42)
    loop.train(tiny_config, run)
    monkeypatch.setattr(release, "LIMIT_MB", 0.0)
    with pytest.raises(ValueError, match="train a smaller one"):
        release.publish(tiny_config, run, home / "release")
    assert not (home / "release").exists()


def test_the_shipped_model_beats_what_costs_nothing_on_eyes_it_never_saw():
    segmenter = load_segmenter()
    eyes = [render_eye(LOOKS["randomised"], seed=31_337, index=i, size=(150, 200)) for i in range(40)]
    truth = np.stack([eye.labels == SCLERA for eye in eyes])

    def mean_f1(predictor):
        return scores(count_pixels(sclera_of(predictor, [eye.image for eye in eyes]), truth)).f1.mean()

    ours = mean_f1(segmenter)
    assert ours > 0.8
    assert ours > 0.2 + max(map(mean_f1, BASELINES.values()))


def test_a_mirrored_segmenter_treats_left_and_right_alike():
    segmenter = replace(load_segmenter(), mirrored=True)
    image = render_eye(LOOKS["randomised"], seed=31_337, index=2, size=(120, 160)).image
    one, other = sclera_of(segmenter, [image, np.ascontiguousarray(image[:, ::-1])])
    assert np.allclose(one, other[:, ::-1], atol=1e-5)
    assert np.allclose(one, segmenter.predict([image])[0][0], atol=1e-5)
    once = sclera_of(replace(segmenter, mirrored=False), [image])[0]
    assert not np.allclose(one, once, atol=1e-3)


def test_predict_needs_no_training(tmp_path):
    eye = render_eye(LOOKS["randomised"], seed=31_337, index=0)
    folder, out = tmp_path / "in", tmp_path / "in" / "out"
    folder.mkdir()
    cv2.imwrite(str(folder / "eye.png"), eye.image[..., ::-1])
    words = ["predict", "--images", str(folder), "--out", str(out), "--classes", "--overlays"]
    for _ in range(2):  # the second time, what was predicted lies below the images
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        assert "1 of 1" in done.output
    folders = {path.parent.name for path in out.rglob("eye.png")}
    assert folders == {"Predictions", "Binarised", "Iris", "Pupil", "Opening", "Overlays"}
    masks = {name: cv2.imread(str(out / name / "eye.png"), 0) > 0 for name in folders}
    assert (masks["Opening"] == masks["Binarised"] | masks["Iris"] | masks["Pupil"]).all()
    assert (out / "contact_sheet.png").exists()


def test_classes_need_a_model_that_knows_them(tiny_config, home):
    run = tiny_config.run("unet", "synthetic", 42)
    loop.train(tiny_config, run)
    words = ["predict", "--run", str(runs.run_folder(tiny_config, run)), "--images", str(home / "Photos" / "Images")]
    done = CliRunner().invoke(app, [*words, "--out", str(home / "out"), "--classes"])
    assert done.exit_code == 1 and "knows no iris" in done.output


def test_masks_beside_their_images_are_not_predicted(tiny_config, home):
    from cgdseg.folders.pairing import photographs

    folder = home / "Photos" / "Images"
    cv2.imwrite(str(folder / "3_mask.png"), np.zeros((8, 8), np.uint8))
    cv2.imwrite(str(folder / "alone_mask.png"), np.zeros((8, 8), np.uint8))
    names = [path.name for path in photographs(folder, home / "out")]
    assert "3_mask.png" not in names and "alone_mask.png" in names and len(names) == 13
