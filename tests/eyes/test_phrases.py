"""What is said of rendered eyes is true."""

import numpy as np
import pytest

from cgdseg.eyes import render_eye
from cgdseg.eyes.looks import LOOKS
from cgdseg.eyes.phrases import COLOURS, NAMES, PHRASES, colour_name, masks, regions
from cgdseg.labels import SCLERA


@pytest.fixture(scope="module")
def eyes():
    return [render_eye(LOOKS["randomised"], 5, index, size=(96, 128)) for index in range(12)]


def test_a_pixel_belongs_to_one_part_and_the_sclera_is_the_labels(eyes):
    for eye in eyes:
        found = masks(eye)
        assert list(found) == list(NAMES)
        assert np.sum(list(found.values()), axis=0).max() == 1
        assert (eye.labels[found["sclera"]] == SCLERA).all()


def test_all_that_is_true_has_phrases_and_parts_out_of_sight_are_denied(eyes):
    for eye in eyes:
        *parts, (whole, said) = regions(eye)
        named = {meaning for _, true in parts for meaning in true}
        assert whole.all() and (named | said) <= set(PHRASES)
        assert all((part in named) != (f"no {part}" in said) for part in NAMES)


def test_colours_are_called_by_their_names():
    assert [colour_name(np.array(rgb)) for rgb in COLOURS.values()] == list(COLOURS)


def test_gaze_is_that_of_the_picture():
    def labels(column: int) -> np.ndarray:
        drawn = np.zeros((40, 80), np.uint8)
        drawn[10:30, 10:70] = SCLERA
        drawn[12:28, column : column + 16] = 2
        return drawn

    from cgdseg.eyes.phrases import _looks

    assert [_looks(labels(c)) & {f"gaze {g}" for g in ("left", "straight ahead", "right")} for c in (12, 32, 52)] == [
        {"gaze left"},
        {"gaze straight ahead"},
        {"gaze right"},
    ]
    assert _looks(np.zeros((40, 80), np.uint8)) == {"closed eye"}
