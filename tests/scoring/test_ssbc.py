"""The competition's scores equal those that scikit-learn gives when the evaluator's rules are followed step by step."""

import json
import warnings

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from sklearn.model_selection import KFold
from typer.testing import CliRunner

from cgdseg.cli.shared import app
from cgdseg.data.images import read_image
from cgdseg.folders.score import read_grey, score_trees
from cgdseg.paths import ROOT
from cgdseg.scoring import ssbc
from cgdseg.scoring.ssbc import PROTOCOLS, Scorer, count_values, precision_recall_of_counts, score_counts

PHOTOS = ROOT.parent / "shared" / "data" / "bioculargan"
SHAPE = (30, 40)


def by_scikit_learn(binary, probability, truth) -> dict:
    """Scores of one image, or of pooled pixels: masks 0/255 and a grey map, any shape."""
    y_true, y_pred = truth.ravel() // 255, binary.ravel() // 255
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        binary_ = {
            "F1": metrics.f1_score(y_true, y_pred),
            "IoU": metrics.jaccard_score(y_true, y_pred),
            "Precision": metrics.precision_score(y_true, y_pred),
            "Recall": metrics.recall_score(y_true, y_pred),
        }
        curve = metrics.precision_recall_curve(y_true, probability.ravel() / 255)
    points = pd.DataFrame({"recall": curve[1], "precision": curve[0], "threshold": [*curve[2], 1.0]})
    points = points.loc[points.groupby("recall").precision.idxmax().sort_values()]  # as the curve runs: recall falls
    with np.errstate(invalid="ignore"):
        f1 = (2 * points.precision * points.recall / (points.precision + points.recall)).to_numpy()
    best = points.iloc[f1.argmax()]
    cut = (probability.ravel() / 255 >= best.threshold) if f1.max() > 0 else np.zeros_like(y_true)
    probabilistic = {
        "F1": f1.max(),
        "IoU": metrics.jaccard_score(y_true, cut, zero_division=0),
        "Precision": best.precision,
        "Recall": best.recall,
        "AUC": metrics.auc(points.recall, points.precision),
    }
    return {"Binary": binary_, "Probabilistic": probabilistic}


def flat(scores: dict) -> list[float]:
    return [value for output in ("Binary", "Probabilistic") for value in scores[output].values()]


def assert_equal_to_scikit_learn(binary, probability, truth):
    ours = score_counts(count_values(binary, probability, truth)[None])
    assert ours.iloc[0].to_numpy() == pytest.approx(flat(by_scikit_learn(binary, probability, truth)), rel=0, abs=1e-12)


def white(mask):
    return np.where(mask, 255, 0).astype(np.uint8)


def draw(rng, shape=SHAPE, n_values=256, prevalence=0.2):
    """A truth, a map that knows a little of it in n_values greys, and a binary that is no cut of the map."""
    truth = rng.random(shape) < prevalence
    values = np.sort(rng.choice(256, n_values, replace=False)).astype(np.uint8)
    signal = 0.5 * rng.random(shape) + 0.5 * truth * rng.random()
    return white(rng.random(shape) < 0.3), values[(signal * n_values).astype(int).clip(0, n_values - 1)], white(truth)


@pytest.mark.parametrize("n_values", [2, 3, 17, 256])
@pytest.mark.parametrize("prevalence", [0.002, 0.2, 0.98])
def test_random_images(n_values, prevalence):
    rng = np.random.default_rng([n_values, int(1000 * prevalence)])
    for _ in range(20):
        assert_equal_to_scikit_learn(*draw(rng, n_values=n_values, prevalence=prevalence))


def test_few_pixels_with_many_ties():
    """Of 3x4 pixels in three greys, many thresholds share a recall, a precision or an F1."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        assert_equal_to_scikit_learn(*draw(rng, (3, 4), 3, prevalence=rng.random()))


EMPTY, FULL = np.zeros(SHAPE, np.uint8), np.full(SHAPE, 255, np.uint8)
HALF = np.repeat([[0, 255]], 20, axis=1).repeat(30, axis=0).astype(np.uint8)
ONES = np.where(HALF, 1, 0).astype(np.uint8)  # a mask saved as {0, 1}
NEARLY = np.where(HALF, 254, 0).astype(np.uint8)
MASKS = {"empty": EMPTY, "full": FULL, "half": HALF, "ones": ONES, "nearly": NEARLY}
MAPS = {"black": EMPTY, "white": FULL, "grey": FULL // 2, "right": HALF, "wrong": 255 - HALF, "dim": HALF // 3}


@pytest.mark.parametrize("truth", MASKS)
@pytest.mark.parametrize("binary", MASKS)
@pytest.mark.parametrize("probability", MAPS)
def test_empty_full_and_constant(binary, probability, truth):
    assert_equal_to_scikit_learn(MASKS[binary], MAPS[probability], MASKS[truth])


def test_what_the_rules_come_to():
    perfect = score_counts(count_values(HALF, HALF, HALF)[None]).iloc[0]
    assert (perfect == 1).all()
    nothing = score_counts(count_values(EMPTY, EMPTY, EMPTY)[None]).iloc[0]
    assert nothing["Binary", "F1"] == 0, "an empty prediction of an empty truth scores 0, not 1"
    assert tuple(nothing["Probabilistic"][["F1", "Precision", "Recall"]]) == (0, 0, 1), "as scikit-learn's recall is 1"
    ones = score_counts(count_values(ONES, HALF, HALF)[None]).iloc[0]
    assert ones["Binary", "F1"] == 0, "a mask of 0 and 1 counts as empty"
    rng = np.random.default_rng(1)
    truth = white(rng.random(SHAPE) < 0.15)
    prevalence = (truth > 0).mean()
    constant = score_counts(count_values(EMPTY, FULL // 2, truth)[None]).iloc[0]
    assert constant["Probabilistic", "F1"] == pytest.approx(2 * prevalence / (1 + prevalence))


def test_the_best_threshold_is_never_worse_than_a_cut_of_the_same_map():
    rng = np.random.default_rng(2)
    for _ in range(30):
        _, grey, truth = draw(rng)
        scores = score_counts(count_values(white(grey >= rng.integers(1, 256)), grey, truth)[None]).iloc[0]
        assert scores["Probabilistic", "F1"] >= scores["Binary", "F1"]


def test_curve_is_that_of_scikit_learn_where_the_map_has_values():
    rng = np.random.default_rng(3)
    binary, grey, truth = draw(rng, n_values=40)
    precision, recall = (curve[0] for curve in precision_recall_of_counts(count_values(binary, grey, truth)[None]))
    theirs = metrics.precision_recall_curve(truth.ravel() // 255, grey.ravel())
    rows = [*theirs[2], 256]
    assert np.allclose(precision[rows], theirs[0], atol=1e-12) and np.allclose(recall[rows], theirs[1], atol=1e-12)


def test_large_images_are_counted_exactly(monkeypatch):
    rng = np.random.default_rng(9)
    binary, grey, truth = draw(rng)
    key = grey.astype(int) + 256 * (truth > 0) + 512 * (binary > 0)
    plain = np.bincount(key.ravel(), minlength=1024).reshape(2, 2, 256)
    assert np.array_equal(count_values(binary, grey, truth), plain)
    monkeypatch.setattr(ssbc, "MOST_PIXELS", 500)
    assert np.array_equal(count_values(binary, grey, truth), plain)
    assert np.array_equal(count_values(binary[:, ::-1], grey[:, ::-1], truth[:, ::-1]), plain), "any memory layout"


@pytest.fixture(scope="module")
def two_datasets():
    rng = np.random.default_rng(4)
    return {name: [draw(rng) for _ in range(n)] for name, n in (("MASD", 7), ("SBVPI", 3))}


def scorer_of(datasets, **options):
    scorer = Scorer(**options)
    for name, images in datasets.items():
        for image in images:
            scorer.add(name, *image)
    return scorer


def test_ssbc2025_means_over_images_and_overall_pools_them(two_datasets):
    summary = scorer_of(two_datasets).summary("ssbc2025")
    everything = [image for images in two_datasets.values() for image in images]
    for name, images in {**two_datasets, "overall": everything}.items():
        means = pd.DataFrame([flat(by_scikit_learn(*image)) for image in images]).mean()
        expected = {
            "Binary": {"F1": means[0], "IoU": means[1]},
            "Probabilistic": {"F1": means[4], "Precision": means[6], "Recall": means[7]},
        }
        for output, scores in expected.items():
            assert summary[name][output] == pytest.approx(scores, rel=0, abs=1e-12)
        assert summary[name]["images"] == len(images)
    assert list(summary) == ["MASD", "SBVPI", "overall"]
    assert list(summary["MASD"]) == ["Binary", "Probabilistic", "images"]


def test_pooled_counts_all_pixels_together(two_datasets):
    summary = scorer_of(two_datasets).summary("pooled")
    for name, images in two_datasets.items():
        expected = by_scikit_learn(*(np.stack(kind) for kind in zip(*images, strict=True)))
        for output, scores in expected.items():
            assert summary[name][output] == pytest.approx(scores, rel=0, abs=1e-12)
    per_image = scorer_of(two_datasets).summary("ssbc2025")
    assert summary["MASD"]["Binary"]["F1"] != pytest.approx(per_image["MASD"]["Binary"]["F1"], abs=1e-6)
    pooled = summary["overall"]["Binary"]
    assert pooled["IoU"] == pytest.approx(pooled["F1"] / (2 - pooled["F1"])), "holds for pooled counts alone"


def test_ssbc2020_pools_shuffled_folds_at_its_own_size():
    rng = np.random.default_rng(5)
    images = [draw(rng, (360, 480)) for _ in range(7)]  # at that size, so that resizing changes nothing
    scorer = scorer_of({"MASD": images}, protocols=["ssbc2020"], seed=3)
    order = np.random.default_rng(3).permutation(7)
    folds = [by_scikit_learn(*(np.stack([images[order[i]][kind] for i in part]) for kind in range(3)))
             for _, part in KFold(5).split(order)]  # fmt: skip
    values = np.array([flat(scores) for scores in folds])
    table = scorer.table()[lambda table: table.dataset == "MASD"]
    assert table["mean"].to_numpy() == pytest.approx(values.mean(axis=0), rel=0, abs=1e-12)
    assert table["std"].to_numpy() == pytest.approx(values.std(axis=0), rel=0, abs=1e-12)
    other = scorer_of({"MASD": images}, protocols=["ssbc2020"], seed=4).table()
    assert not np.allclose(other["std"], scorer.table()["std"]), "another seed makes other folds"


def test_ssbc2020_takes_predictions_of_another_size_and_few_images():
    truth = cv2.resize(HALF, (400, 300), interpolation=cv2.INTER_NEAREST)
    scorer = Scorer(["ssbc2020"])
    scorer.add("MASD", HALF, HALF, truth)
    scores = scorer.summary("ssbc2020")["MASD"]
    assert scores["Binary"]["F1"]["mean"] > 0.99 and scores["Binary"]["F1"]["std"] == 0 and scores["images"] == 1


def test_scorer_takes_masks_and_maps_of_either_kind():
    rng = np.random.default_rng(6)
    probability, mask = rng.random(SHAPE).astype(np.float32), rng.random(SHAPE) < 0.3
    floats, bytes_ = Scorer(), Scorer()
    floats.add("MASD", probability >= 0.5, probability, mask)
    bytes_.add("MASD", white(probability >= 0.5), np.round(probability * 255).astype(np.uint8), white(mask))
    pd.testing.assert_frame_equal(floats.table(), bytes_.table())
    table = floats.table()
    assert set(table.protocol) == set(PROTOCOLS) and set(table.dataset) == {"MASD", "overall"}


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="one size"):
        Scorer(["pooled"]).add("MASD", HALF, HALF, HALF[:20])
    with pytest.raises(ValueError, match="floats in 0 to 1"):
        Scorer().add("MASD", HALF, HALF.astype(float), HALF)
    with pytest.raises(ValueError, match="ssbc2031"):
        Scorer(["ssbc2031"])
    assert Scorer().table().empty and Scorer().summary("pooled") == {}


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the licensed photographs are not beside this checkout")
def test_real_masks():
    rng = np.random.default_rng(7)
    paths = sorted(PHOTOS.glob("*_mask.png"))
    assert len(paths) == 8
    for path in paths:
        mask = (read_image(path) == (0, 255, 0)).all(axis=2)
        soft = cv2.GaussianBlur(white(mask), (0, 0), 4).astype(float) + rng.normal(0, 20, mask.shape)
        grey = soft.clip(0, 255).astype(np.uint8)
        assert_equal_to_scikit_learn(white(grey > 100), grey, white(mask))


def write(folder, images):
    for stem, (binary, probability, truth) in enumerate(images):
        for name, picture in (("Binarised", binary), ("Predictions", probability), ("Masks", truth)):
            path = (folder.parent / "truth" / folder.name if name == "Masks" else folder) / name / f"{stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), picture)


@pytest.fixture
def trees(tmp_path, two_datasets):
    for name, images in two_datasets.items():
        write(tmp_path / "found" / name, images)
    (tmp_path / "found" / "truth").rename(tmp_path / "truth")
    return tmp_path / "found", tmp_path / "truth"


def score(*words):
    return CliRunner().invoke(app, ["score", *(str(word) for word in words)])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_command_scores_files_as_arrays(trees, two_datasets, tmp_path, protocol):
    out = tmp_path / "scores.json"
    done = score("--predictions", trees[0], "--truth", trees[1], "--protocol", protocol, "--json", out)
    assert done.exit_code == 0, done.output
    expected = scorer_of(two_datasets).summary(protocol)
    assert json.loads(out.read_text()) == json.loads(json.dumps(expected))
    one = score("--predictions", trees[0] / "MASD", "--truth", trees[1] / "MASD" / "Masks", "--protocol", protocol,
                "--json", out)  # fmt: skip
    assert one.exit_code == 0, one.output
    assert json.loads(out.read_text())["MASD"] == json.loads(json.dumps(expected["MASD"]))


def test_nothing_is_dropped_silently(trees, tmp_path):
    found, truth = trees
    (found / "MASD" / "Binarised" / "0.png").unlink()
    (found / "MASD" / "Predictions" / "1.png").write_bytes(b"no image")
    cv2.imwrite(str(found / "MASD" / "Binarised" / "2.png"), ONES)
    cv2.imwrite(str(found / "MASD" / "Predictions" / "3.png"), HALF[:20])
    cv2.imwrite(str(found / "MASD" / "Predictions" / "extra.png"), HALF)
    (truth / "MOBIUS").mkdir()
    scorer, problems = score_trees(found, truth, ["ssbc2025"])
    assert scorer.summary("ssbc2025")["MASD"]["images"] == 4
    for words in (
        "MASD/Masks/0.png has no prediction of its name",
        "MASD/Predictions/1.png is not an image",
        "MASD/Binarised/2.png has no pixel of 255",
        "MASD/Masks/3.png: binary, probability and truth are",
        "MASD/Predictions/extra.png has no truth mask",
        "MOBIUS has no predictions",
    ):
        assert any(words in problem for problem in problems), words
    assert len(problems) == 6
    done = score("--predictions", found, "--truth", truth, "--protocol", "ssbc2025", "--json", tmp_path / "s.json")
    assert done.exit_code == 1 and "extra.png" in done.output
    assert set(json.loads((tmp_path / "s.json").read_text())) == {"MASD", "SBVPI", "overall"}


def test_the_command_names_bad_words(trees):
    found, truth = trees
    assert "ssbc2031" in score("--predictions", found, "--truth", truth, "--protocol", "ssbc2031").output
    flat_folder = score("--predictions", truth / "MASD", "--truth", truth / "MASD", "--protocol", "pooled")
    assert flat_folder.exit_code == 1 and "Predictions" in flat_folder.output


def test_grey_is_pillows_grey(tmp_path):
    from PIL import Image

    colours = np.random.default_rng(8).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "colour.png")
    Image.fromarray(colours[..., 0]).save(tmp_path / "grey.png")
    for name in ("colour", "grey"):
        path = tmp_path / f"{name}.png"
        assert np.array_equal(read_grey(path), np.array(Image.open(path).convert("L")))


def test_coloured_truth(trees):
    found, truth = trees
    for path in (truth / "MASD" / "Masks").iterdir():
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(path), np.dstack([0 * mask, mask, 0 * mask]))  # green
    plain = score("--predictions", found / "MASD", "--truth", truth / "MASD", "--protocol", "pooled")
    assert plain.exit_code == 1 and "counts as empty" in plain.output
    told = ["--protocol", "pooled", "--colour", "sclera=0,255,0"]
    assert score("--predictions", found / "MASD", "--truth", truth / "MASD", *told).exit_code == 0
