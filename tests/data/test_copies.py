"""Near copies: eight symmetries, re-encoded, resized and trimmed copies are found; different pictures are not."""

import cv2
import imagehash
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cgdseg.data import copies
from cgdseg.eyes import render_eye
from cgdseg.eyes.looks import LOOKS
from cgdseg.figures import audit as plots
from cgdseg.studies import audit


@pytest.fixture(scope="module")
def eyes() -> dict[str, np.ndarray]:
    """Rendered eyes of 24 people."""
    return {
        f"e{i:02}": render_eye(LOOKS["masd"], seed=5, index=i, size=(150, 200), subject=i, eye="L", gaze="s").image
        for i in range(24)
    }


def listed(pictures: dict[str, np.ndarray]) -> pd.DataFrame:
    """A manifest of pictures, each of a person of its own."""
    table = pd.DataFrame({"image_id": list(pictures), "phash": [copies.perceptual_hash(p) for p in pictures.values()]})
    return table.assign(subject=table.image_id, image_sha256=table.image_id)


def found(pictures: dict[str, np.ndarray], **options) -> pd.DataFrame:
    return copies.near_copies(listed(pictures), pictures.__getitem__, **options)


def jpeg(picture, quality):
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def test_different_eyes_are_no_copies(eyes):
    assert found(eyes).empty


@pytest.mark.parametrize("turn", copies.TURNS)
def test_a_copy_is_found_in_each_symmetry(eyes, turn):
    planted = np.ascontiguousarray(copies.TURNS[turn](jpeg(eyes["e07"], 60)))
    pairs = found(eyes | {"copy": planted})
    assert pairs[["first", "second"]].to_numpy().tolist() == [["copy", "e07"]]
    assert pairs.turned[0] == turn and pairs.alike[0] > 0.98


@pytest.mark.parametrize("change", [change for change in copies.CHANGES if change not in copies.BEYOND])
def test_a_changed_copy_is_found(eyes, change):
    assert found(eyes | {"copy": copies.CHANGES[change](eyes["e05"])}).second.tolist() == ["e05"]


def test_both_looks_decide(eyes, monkeypatch):
    planted = eyes | {"copy": np.ascontiguousarray(jpeg(eyes["e03"], 30)[:, ::-1])}
    assert found(planted, radius=256).second.tolist() == ["e03"]  # e00 would be folded into a line of e11
    assert found(planted, radius=0).empty
    monkeypatch.setattr(copies, "ALIKE", -1.0)
    assert len(found(planted, radius=256)) == 25 * 24 / 2


def test_the_same_bytes_are_no_near_copies(eyes):
    pictures = {name: eyes[name] for name in ("e00", "e01")} | {"again": eyes["e00"]}
    table = listed(pictures).assign(image_sha256=["a", "b", "a"])
    assert copies.near_copies(table, pictures.__getitem__).empty


def test_symmetries_follow_exactly_from_one_code():
    square = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    turned = [copies.perceptual_hash(np.ascontiguousarray(turn(square))) for turn in copies.TURNS.values()]
    assert len(set(turned)) == 8
    one = copies.codes(pd.Series(turned))
    for row, distances in enumerate(zip(*copies._distances(one, one[:1]), strict=True)):
        assert distances[row] == 0 and min(distances[:row] + distances[row + 1 :], default=99) > 80


def test_the_search_equals_brute_force():
    rng = np.random.default_rng(0)
    seeds = rng.integers(0, 2, (30, 16, 16), dtype=np.uint8)
    signs = seeds[rng.integers(0, 30, 300)] ^ (rng.random((300, 16, 16)) < 0.06)
    flips = np.arange(16) % 2 * rng.integers(0, 2, (300, 2, 1))
    signs = signs ^ (flips[:, 0, :, None] ^ flips[:, 1, None, :]).astype(np.uint8)
    signs[::3] = signs[::3].swapaxes(1, 2)
    hashes = pd.Series([np.packbits(copies._by_parity(one)).tobytes().hex() for one in signs])
    pairs = copies.within(copies.codes(hashes), 50)
    odd = np.arange(16) % 2
    expected = {}
    for turned in (signs, signs.swapaxes(1, 2)):
        for down, across in np.ndindex(2, 2):
            other = turned ^ ((odd * down)[:, None] ^ (odd * across)[None]).astype(np.uint8)
            for i in range(300):
                for j, bits in enumerate((signs[i] ^ other[i + 1 :]).sum(axis=(1, 2)), i + 1):
                    expected[i, j] = min(bits, expected.get((i, j), 999))
    near = {pair: bits for pair, bits in expected.items() if bits <= 50}
    assert {(p.i, p.j): p.distance for p in pairs.itertuples()} == near and len(near) > 500


def test_the_code_is_a_perceptual_hash(eyes):
    """As that of imagehash, but for the coefficients between zero and the median."""
    for eye in eyes.values():
        theirs = imagehash.phash(Image.fromarray(cv2.resize(eye, (64, 64), interpolation=cv2.INTER_AREA)), 16).hash
        packed = np.packbits(copies._by_parity(theirs)).tobytes().hex()
        assert copies.fewest_bits(*copies.codes(pd.Series([copies.perceptual_hash(eye), packed]))[:, None]).item() < 26


def test_the_radius_is_measured(eyes):
    measured = copies.calibrate_search(listed(eyes), eyes.__getitem__, n=12)
    assert 20 < measured.radius < 90 and measured.missed() < 0.05
    assert measured.strangers.sum() == 24 * 23 / 2 and measured.strangers_within() < 0.01
    kinds = measured.copies.groupby("change").distance
    assert kinds.median()["half the size"] < kinds.median()["3 % cut off each side"] < measured.radius
    table = audit.searched(measured).set_index("pair")
    assert table["found %"]["half the size"] == 100 and table.pairs["two people"] == 276
    plt.close(plots.copies_and_strangers(measured))


def test_copies_under_two_names_do_not_hide_themselves(eyes):
    planted = {f"x{name}": np.ascontiguousarray(jpeg(eye, 70)[:, ::-1]) for name, eye in eyes.items()}
    clean = copies.calibrate_search(listed(eyes), eyes.__getitem__, n=12)
    measured = copies.calibrate_search(listed(eyes | planted), (eyes | planted).__getitem__, n=12)
    assert measured.strangers.sum() == 48 * 47 / 2 - 24 and measured.radius > clean.radius - 15
    assert len(found(eyes | planted, radius=measured.radius)) == 24


def test_similar_people_lower_the_radius(eyes, monkeypatch):
    monkeypatch.setattr(copies, "FALSE", -1.0)
    assert copies.calibrate_search(listed(eyes), eyes.__getitem__, n=4).radius == 0
