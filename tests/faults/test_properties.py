"""Inputs nobody thought of: hypothesis makes them, and shrinks to the smallest one that breaks a promise."""

import html.parser
import io
import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from sklearn import metrics as oracle
from tiny_data import SIP, draw_eye

from cgdseg.config import Config, load_config
from cgdseg.data.images import BadFile, load_image, load_labels, resize_image, resize_labels
from cgdseg.data.layouts import plain
from cgdseg.data.stored import read_csv, write_csv
from cgdseg.figures.html import table_html
from cgdseg.files import write_atomic
from cgdseg.models import weights
from cgdseg.scoring import metrics
from cgdseg.text import visible

SUFFIXES = [".png", ".jpg", ".bmp", ".tif", ".webp"]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".bmp": "BMP", ".tif": "TIFF", ".webp": "WEBP"}
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
NESTED = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))


def encoded(suffix: str) -> bytes:
    buffer = io.BytesIO()
    image, labels = draw_eye(1)
    Image.fromarray(SIP[labels] if suffix in {".png", ".bmp"} else image).save(buffer, FORMATS[suffix])
    return buffer.getvalue()


SEEN = Counter()


@pytest.fixture(autouse=True)
def _counted(count):
    SEEN.clear()
    yield
    for fault, n in SEEN.items():
        count(f"generated: {fault}", n)


WHOLE = {suffix: encoded(suffix) for suffix in SUFFIXES}


@st.composite
def files(draw) -> tuple[str, bytes]:
    """Bytes of an image with some replaced, cut out or put in; or any bytes at all."""
    suffix = draw(st.sampled_from(SUFFIXES))
    if draw(st.integers(0, 9)) == 0:
        return suffix, draw(st.binary(max_size=200))
    data = bytearray(WHOLE[draw(st.sampled_from([suffix] * 9 + SUFFIXES))])
    for _ in range(draw(st.integers(1, 4))):
        near_start = draw(st.booleans())
        start = draw(st.integers(0, min(len(data), 80) if near_start else len(data)))
        data[start : start + draw(st.integers(0, 40))] = draw(st.binary(max_size=40))
    return suffix, bytes(data)


@given(file=files())
def test_a_reader_returns_pixels_or_raises_bad_file(tmp_path_factory, file):
    SEEN["any bytes for an image or mask"] += 1
    suffix, data = file
    path = tmp_path_factory.getbasetemp() / f"mutant{suffix}"
    path.write_bytes(data)
    for load, n_dimensions in ((load_image, 3), (load_labels, 2)):
        try:
            pixels = load(path).pixels
        except BadFile as bad:
            assert bad.path == path and bad.reason and bad.mend
        else:
            assert pixels.dtype == np.uint8 and pixels.ndim == n_dimensions and min(pixels.shape[:2]) >= 16
            assert n_dimensions == 3 or pixels.max() <= 3


@given(
    labels=arrays.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.integers(0, 3)),
    size=st.tuples(st.integers(1, 50), st.integers(1, 50)),
)
def test_resizing_invents_no_class(labels, size):
    SEEN["any labels and sizes"] += 1
    resized = resize_labels(labels, size)
    assert resized.shape == size and set(np.unique(resized)) <= set(np.unique(labels))
    assert resize_image(np.dstack([labels] * 3), size).shape == (*size, 3)


@given(text=TEXT | st.binary(max_size=60))
@example(text="a: &a [*a]")
@example(text="extends: [1]")
@example(text="datasets: {x: {layout: plain, root: 1, domain: real}}")
def test_any_text_for_a_config_is_refused_by_name(tmp_path_factory, text):
    SEEN["any text or values for a config"] += 1
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(path)


def refused(path):
    try:
        load_config(path)
    except (ValueError, FileNotFoundError) as error:
        assert "any.yaml" in str(error) or "there is no config" in str(error)
    else:
        raise AssertionError("taken for a config")


@given(change=NESTED, where=st.sampled_from(list(Config.model_fields)), inside=st.booleans(), key=TEXT)
def test_any_values_in_a_config_load_or_are_refused_by_name(tmp_path_factory, change, where, inside, key):
    SEEN["any text or values for a config"] += 1
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump({"extends": "smoke", where: {key: change} if inside else change}))
    try:
        cfg = load_config(path)
    except ValueError as error:
        assert "any.yaml" in str(error)
    else:
        assert Config(**json.loads(cfg.model_dump_json())) == cfg and len({cfg.run_id(run) for run in cfg.runs()})


@given(data=st.binary(max_size=300), place=st.integers(0, 400), bit=st.integers(0, 7))
def test_a_checkpoint_is_whole_or_broken(tmp_path_factory, data, place, bit):
    SEEN["any bytes for a checkpoint"] += 1
    folder = tmp_path_factory.getbasetemp()
    import torch

    tensors, meta = {"a": torch.arange(9.0), "b": torch.ones(2, 2)}, {"epoch": 3}
    weights.save(folder / "whole.safetensors", tensors, meta)
    whole = bytearray((folder / "whole.safetensors").read_bytes())
    whole[place % len(whole)] ^= 1 << bit
    for broken in (bytes(whole), data, bytes(whole[:place])):
        (folder / "broken.safetensors").write_bytes(broken)
        try:
            found, said = weights.load(folder / "broken.safetensors")
        except weights.BrokenCheckpoint:
            continue
        assert said == meta and all(torch.equal(found[name], tensors[name]) for name in tensors)  # e.g. a space


IMAGES = st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))


@given(data=st.data(), shape=IMAGES, threshold=st.floats(0, 1))
def test_scores_are_those_of_scikit_learn(data, shape, threshold):
    SEEN["any predictions to score"] += 1
    levels = st.sampled_from([0.0, 1.0, threshold, 0.5, 0.25])
    probs = data.draw(arrays.arrays(np.float64, shape, elements=levels | st.floats(0, 1)))
    truth = data.draw(arrays.arrays(bool, shape))
    table = metrics.scores(metrics.count_pixels(probs, truth, threshold))
    for i in range(shape[0]):
        words = (truth[i].ravel(), (probs[i] >= threshold).ravel())
        expected = {
            "f1": oracle.f1_score(*words, zero_division=0),
            "iou": oracle.jaccard_score(*words, zero_division=0),
            "precision": oracle.precision_score(*words, zero_division=0),
            "recall": oracle.recall_score(*words, zero_division=0),
            "mae": oracle.mean_absolute_error(words[0].astype(float), probs[i].ravel()),
        }
        assert np.allclose([table.loc[i, name] for name in expected], list(expected.values()), atol=1e-12)
    pooled = metrics.pooled_scores(metrics.count_pixels(probs, truth, threshold))
    assert np.isclose(pooled["f1"], oracle.f1_score(truth.ravel(), (probs >= threshold).ravel(), zero_division=0))
    curve = metrics.f1_by_threshold(probs, truth, np.array([threshold]))
    assert np.allclose(curve[:, 0], table["f1"])


class Texts(html.parser.HTMLParser):
    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.text = set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text += data


@given(words=st.lists(TEXT, min_size=1, max_size=4), numbers=st.lists(st.floats(), min_size=1, max_size=4))
def test_a_table_shows_any_text_as_it_is(words, numbers):
    SEEN["any text in a table"] += 1
    n = min(len(words), len(numbers))
    page = Texts(table_html(pd.DataFrame({words[0] or "-": words[:n], "n ": numbers[:n]}), words[0]))
    assert page.tags == {"div", "table", "caption", "span", "thead", "tbody", "tr", "th", "td"}
    assert all(word.replace("\x00", "") in page.text.replace("\x00", "") for word in words[:n])


@given(names=st.lists(TEXT, min_size=1, max_size=5))
def test_any_text_survives_our_csv(tmp_path_factory, names):
    SEEN["any text in a table"] += 1
    path = tmp_path_factory.getbasetemp() / "any.csv"
    table = pd.DataFrame({"name": names, "n": range(len(names))})
    write_csv(table, path)
    assert read_csv(path, ["name"])["name"].tolist() == names


@given(name=st.text(st.characters(exclude_characters="/\x00"), min_size=1, max_size=60))
def test_any_name_is_found_written_and_said(tmp_path_factory, name):
    SEEN["any name of a file"] += 1
    folder = tmp_path_factory.mktemp("names")
    visible(name).encode()
    assert visible(name).isprintable() or not name.isprintable()
    try:
        write_atomic(folder / f"Images/{name}.png", b"0")
        write_atomic(folder / f"Masks/{name}.png", b"0")
    except (OSError, UnicodeEncodeError, ValueError):
        return  # a name that no file can have
    found = list(plain(folder))
    assert len(found) == 1 or name.startswith(".")
