"""Menus, sliders and lists appear where a reader sits in front of them, show what they say, and nowhere else."""

import base64
import re
from functools import partial

import cv2
import ipywidgets
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import precision_recall_fscore_support

from cgdseg import loops
from cgdseg.data.cache import open_cache
from cgdseg.figures.stages import stage_features
from cgdseg.figures.widgets import failures, parts, prompts, stages, thresholds
from cgdseg.models import registry
from cgdseg.scoring.tally import THRESHOLDS, Tally
from cgdseg.studies.scores import tables as score_tables
from cgdseg.studies.scores.cases import Case


@pytest.fixture
def reader(monkeypatch):
    """Someone who sits in front of the kernel."""
    monkeypatch.setattr(loops, "someone_is_there", lambda: True)


def controls(widget):
    """Every menu, slider and field of a widget by its label."""
    found = [widget] if getattr(widget, "description", "") else []
    named = {one.description: one for one in found}
    for child in getattr(widget, "children", ()):
        named |= controls(child)
    return named


def said(widget):
    """The HTML of a widget, piece by piece."""
    return [child.value for child in widget.children if isinstance(child, ipywidgets.HTML)]


def captions(widget):
    return re.findall(r"<figcaption[^>]*>(.*?)</figcaption>", "".join(said(widget)))


def picture_in(html):
    """The first picture (H, W, 3) of some HTML."""
    data = base64.b64decode(re.search(r'base64,([^"]+)', html)[1])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_nothing_is_shown_to_nobody(tiny_config, tiny_cgdseg):
    nothing = pd.DataFrame()
    assert failures.browse(tiny_config, nothing) is None
    assert thresholds.slide(tiny_config, nothing, nothing, nothing) is None
    assert stages.walk(["a"], pytest.fail) is None
    assert prompts.pick(tiny_cgdseg, None, None) is None


def test_pictures_are_labelled_and_hostile_names_stay_words():
    grey, colours = np.zeros((4, 6)), np.ones((4, 6, 3))
    html = parts.pictures([parts.MenuPicture("<script>", grey, '" onload="'), parts.MenuPicture("b", colours, "white")])
    assert "<script>" not in html and 'alt="&quot; onload=&quot;"' in html and html.count("<img alt=") == 2
    assert picture_in(html).shape == (4, 6, 3) and html.count("pixelated") == 2
    large = parts.pictures([parts.MenuPicture("c", np.ones((900, 600, 3)), "white")], height=100)
    assert picture_in(large).shape == (200, 133, 3) and "pixelated" not in large
    assert parts.some(list("abcdef"), 3) == ["a", "c", "f"] and parts.some(["a"], 3) == ["a"]


# --- failures ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def gallery(tiny_config, monkeypatch, reader):
    """The widget, with predictions that are right but for two edges, and what was asked for."""
    asked: list[tuple[str, list[str]]] = []

    def predict(cfg, run, cases):
        asked.append((run.name, cases.image_id.tolist()))
        black, truth = np.zeros((20, 30, 3), np.uint8), np.ones((20, 30), bool)
        found = np.pad(truth[1:, 1:], ((1, 0), (1, 0)))
        return [Case(c.label, f"F1 {c.f1:.3f}", c.image_id, black, None, found, truth) for c in cases.itertuples()]

    monkeypatch.setattr(failures, "trained_runs", lambda cfg: cfg.runs())
    monkeypatch.setattr(failures, "predict_cases", predict)
    rows = [(run.name, f"Photos/{k}", k / 10, ["l", "r", "l", ""][k]) for run in tiny_config.runs() for k in range(4)]
    table = pd.DataFrame(rows, columns=["run", "image_id", "f1", "gaze"]).assign(part="test", label="Photos")
    return failures.browse(tiny_config, table, n=2), asked


def test_a_menu_asks_for_its_images(gallery):
    widget, asked = gallery
    menus = controls(widget)
    assert menus["dataset"].options == ("any", "Photos")
    assert [words for words, _ in menus["gaze"].options] == ["any", "left", "right"]
    assert asked == [("cgdseg-synthetic-42", ["Photos/0", "Photos/1"])]
    menus["order"].value = "best first"
    menus["run"].value = "unet-synthetic-42"
    assert asked[1:] == [(name, ["Photos/3", "Photos/2"]) for name in ("cgdseg-synthetic-42", "unet-synthetic-42")]
    assert captions(widget) == ["Photos/3, F1 0.300", "Photos/2, F1 0.200"] and "2 of the 4 images" in said(widget)[0]
    menus["gaze"].value = "r"
    assert captions(widget) == ["Photos/1, F1 0.100"] and "1 of the 1 images" in said(widget)[0]
    menus["order"].value = "worst first"
    menus["gaze"].value = "l"
    assert captions(widget) == ["Photos/0, F1 0.000", "Photos/2, F1 0.200"]


def test_pictures_of_failures_show_the_eye_and_where_it_went_wrong():
    image, nothing = np.full((4, 6, 3), 90, np.uint8), np.zeros((4, 6), bool)
    html = failures.cases_html([Case("A", "F1 <0>", "A/1", image, None, nothing, ~nothing)])
    picture = picture_in(html)
    assert picture.shape == (4, 12, 3) and (picture[:, :6] == 90).all() and (picture[:, 6:, 2] > 100).all()  # missed
    assert "F1 &lt;0&gt;" in html and "<0>" not in html


# --- thresholds -------------------------------------------------------------------------------------------------------


@pytest.fixture
def predicted():
    """Probabilities (N, H, W) and truths of two datasets, and what evaluation counts of them for two runs."""
    random = np.random.default_rng(0)
    truth = random.random((8, 20, 30)) < 0.3
    probs = np.clip(0.5 * truth + 0.6 * random.random(truth.shape), 0, 1).astype(np.float32)
    labels = ["A"] * 5 + ["B"] * 3
    tables = []
    for run, shift in (("cgdseg-synthetic-42", 0.0), ("unet-synthetic-42", 0.1)):
        tally = Tally(0.5)
        tally.add(labels, np.clip(probs - np.float32(shift), 0, 1), truth)
        test = tally.scores().assign(image_id=[f"{label}/{k}" for k, label in enumerate(labels)], label=labels)
        tables.append([table.assign(run=run, part="test") for table in (test, tally.sweep(), tally.levels())])
    test, sweep, levels = (pd.concat(found, ignore_index=True) for found in zip(*tables, strict=True))
    return probs, truth, test, sweep, score_tables.curves(levels)


@pytest.mark.parametrize("threshold", [THRESHOLDS[0], 0.3, 0.5, THRESHOLDS[-1]])
def test_scores_at_a_threshold_are_those_of_its_masks(predicted, threshold):
    probs, truth, _, sweep, curves = predicted
    table = thresholds.at_threshold(sweep, curves, "cgdseg-synthetic-42", threshold, 0.5).set_index("dataset")
    for name, where in (("A", slice(0, 5)), ("B", slice(5, 8))):
        mask = probs[where] >= np.float32(threshold)
        each = [precision_recall_fscore_support(t.ravel(), m.ravel(), average="binary", zero_division=0)[2] for t, m in zip(truth[where], mask, strict=True)]  # fmt: skip  # noqa: E501
        precision, recall, f1, _ = precision_recall_fscore_support(truth[where].ravel(), mask.ravel(), average="binary")
        found = table.loc[name]
        assert found["F1, mean over images"] == pytest.approx(np.mean(each), abs=1e-9)
        assert found[[f"{name}, all pixels" for name in ("F1", "precision", "recall")]].tolist() == pytest.approx(
            [f1, precision, recall]
        )
    gain = table["F1, mean over images"] - sweep[np.isclose(sweep.threshold, 0.5)].groupby("dataset").f1.first()
    assert table["points against 0.5"].to_numpy() == pytest.approx(100 * gain.to_numpy())


def test_the_slider_moves_scores_and_mask_without_a_new_prediction(predicted, tiny_config, monkeypatch, reader):
    probs, truth, test, sweep, curves = predicted
    asked = []

    def predict(cfg, run, cases):
        asked.append((run.name, *cases.image_id))
        k = int(cases.image_id.iloc[0][2:])
        return [Case("A", "", cases.image_id.iloc[0], np.zeros((20, 30, 3), np.uint8), probs[k], None, truth[k])]

    monkeypatch.setattr(thresholds, "trained_runs", lambda cfg: cfg.runs())
    monkeypatch.setattr(thresholds, "predict_cases", predict)
    widget = thresholds.slide(tiny_config, test, sweep, curves)
    by, before = controls(widget), said(widget)
    assert by["threshold"].value == 0.5 and "at the threshold 0.50" in before[0]
    by["threshold"].value = 0.8
    after = said(widget)
    f1 = precision_recall_fscore_support(truth[int(by["eye"].value[2:])].ravel(), (probs[int(by["eye"].value[2:])] >= 0.8).ravel(), average="binary")[2]  # fmt: skip  # noqa: E501
    assert all(old != new for old, new in zip(before, after, strict=True)) and f"at 0.80: F1 {f1:.3f}" in after[1]
    assert len(asked) == 1 and len(by["eye"].options) == 5
    assert ">+0.0</td>" in before[0] and re.search(r">[+-]\d+\.\d</td>", after[0])
    by["run"].value = "unet-synthetic-42"  # another run, the same eye
    by["dataset"].value = "B"
    assert len(asked) == 3 and asked[0][1] == asked[1][1] and asked[2][1].startswith("B/")
    by["dataset"].value, by["run"].value = "A", "cgdseg-synthetic-42"
    assert len(by["eye"].options) == 5 and "cgdseg-synthetic-42 at the threshold 0.80" in said(widget)[0]


# --- stages -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def model(tiny_cgdseg):
    torch.manual_seed(0)
    return registry.build_system(tiny_cgdseg)


def test_every_stage_of_every_eye_is_seen_in_every_way(tiny_config, model, reader):
    pixels = open_cache(tiny_config, (32, 48))
    widget = stages.walk(pixels.image_ids, partial(stages.trace_eye, model, pixels))
    by = controls(widget)
    image, outputs = stages.trace_eye(model, pixels, by["eye"].value)
    features = stage_features(outputs)
    assert by["stage"].options == tuple(features) and len(by["eye"].options) == parts.MOST_EYES
    seen = set()
    for name, stage in features.items():
        by["stage"].value, by["channel"].value = name, 0
        assert by["shown as"].options == (stages.CHANNEL,) if len(stage) == 1 else len(by["shown as"].options) == 3
        for view in by["shown as"].options:
            by["shown as"].value = view
            assert by["channel"].disabled == (view != stages.CHANNEL) and by["channel"].max == len(stage) - 1
            seen.add("".join(said(widget)))
        by["channel"].value = len(stage) - 1
        seen.add("".join(said(widget)))
        assert f"channel {len(stage) - 1}; black {stage[-1].min():.3g}" in captions(widget)[1]
    several = sum(len(stage) > 1 for stage in features.values())
    assert len(seen) == 4 * several + len(features) - several
    before = said(widget)
    by["eye"].value = by["eye"].options[-1]
    assert said(widget) != before


def test_a_stage_of_one_channel_does_not_change_how_others_are_seen(tiny_config, model, reader):
    pixels = open_cache(tiny_config, (32, 48))
    widget = stages.walk(pixels.image_ids, partial(stages.trace_eye, model, pixels))
    by = controls(widget)
    assert by["shown as"].value == stages.AS_COLOURS
    for view in (stages.LENGTH, stages.CHANNEL):
        by["stage"].value, by["shown as"].value = "S1 patch tokens", view
        by["stage"].value = "S5 probability"
        assert by["shown as"].value == stages.CHANNEL
        by["stage"].value = "S4 decoder 1"
        assert by["shown as"].value == view


# --- prompts ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def picker(tiny_config, tiny_cgdseg, model, reader):
    return prompts.pick(tiny_cgdseg, model, open_cache(tiny_config, (32, 48)))


def test_each_phrase_and_each_token_has_a_map(picker):
    by = controls(picker)
    assert by["form"].options == tuple(prompts.ASKABLE) and "knows nothing of what it says" in said(picker)[0]
    by["phrases"].value = " one   two\nthree\n\nthree\n"
    names = [caption.split(":")[0] for caption in captions(picker)]
    assert names == ["the image", "one two", "three"]
    by["form"].value = "every token a key"
    assert [caption.split(":")[0] for caption in captions(picker)] == ["the image", "one", "two", "three"]
    before = captions(picker)
    by["eye"].value = by["eye"].options[-1]
    assert captions(picker) != before
    by["phrases"].value = " \n"
    assert "Write a phrase" in said(picker)[1]


def test_a_phrase_of_ones_own_is_a_key_and_stays_words(picker):
    by = controls(picker)
    n, before = len(captions(picker)), by["phrases"].value
    by["add"].value = "  the <b>red</b>  veins "
    assert by["phrases"].value == f"{before}\nthe <b>red</b> veins" and by["add"].value == ""
    assert captions(picker)[-1].startswith("the &lt;b&gt;red&lt;/b&gt; veins: ") and len(captions(picker)) == n + 1
    by["add"].value = "the <b>red</b> veins"  # once is enough
    assert len(captions(picker)) == n + 1


def test_a_single_key_gets_everything(picker):
    by = controls(picker)
    by["phrases"].value = by["add"].options[0]
    assert prompts.ALONE in said(picker)[0] and "1.000 to 1.000" in captions(picker)[1]


def test_the_same_form_gives_the_same_maps_and_shares_add_up(tiny_cgdseg, model):
    image = np.random.default_rng(0).integers(0, 255, (32, 48, 3), dtype=np.uint8)
    for form in prompts.ASKABLE:
        state = torch.random.get_rng_state()
        (names, maps), again = (prompts.maps_of(tiny_cgdseg, model, image, form, ["a b", "c"]) for _ in range(2))
        assert len(names) == len(maps) and np.allclose(maps.sum(0), 1, atol=1e-5) and np.array_equal(maps, again[1])
        assert torch.equal(state, torch.random.get_rng_state())


def test_an_encoder_of_our_own_is_asked_first(tiny_config, tiny_cgdseg, model, monkeypatch, reader):
    asked = []

    def maps(folder, batch, phrases):
        asked.append(phrases)
        return torch.rand(1, len(phrases), 4, 6)

    monkeypatch.setattr(prompts, "found_encoder", lambda settings: "folder")
    monkeypatch.setattr(prompts, "phrase_maps", maps)
    ours = tiny_cgdseg.model_copy(update={"text": tiny_cgdseg.text.model_copy(update={"source": "rendered"})})
    widget = prompts.pick(ours, model, open_cache(tiny_config, (32, 48)))
    by = controls(widget)
    assert by["form"].value == prompts.ENCODER and asked == [by["phrases"].value.splitlines()]
    assert "has learned it on rendered eyes" in said(widget)[0] and len(captions(widget)) == 5
