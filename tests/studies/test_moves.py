"""Moves of eyes reach their goals, take masks along, and keep to their own factor."""

import numpy as np
import pytest
from test_attribution import SIZE, rendered

from cgdseg.studies.gap import moves
from cgdseg.studies.gap.moves import MOVES, MovedEye


@pytest.fixture(scope="module")
def eye():
    return rendered(n=1)[0]


@pytest.mark.parametrize(
    ("name", "factor", "tolerance"),
    [
        ("resolution", [0.55, 1.2], 0.04),
        ("colour", [0.5, 1.6], 0.08),
        ("exposure", [0.9, 0.97], 0.05),
        ("blur", [0.6, 1.3], 0.06),
        ("noise", [0.5, 4.0], 0.25),
        ("reflections", [0.3, 2.5], 0.5),
    ],
)
def test_a_move_reaches_its_goal(eye, name, factor, tolerance):
    move = MOVES[name]
    for times in factor:
        goal = times * move.measure(eye)
        moved = move.apply(eye, goal, np.random.default_rng(0))
        assert move.measure(moved) == pytest.approx(goal, rel=tolerance)
        assert (moved.sclera is eye.sclera) == (name != "resolution")
        assert moved.image.dtype == np.uint8 and moved.image.shape == eye.image.shape


def test_a_smaller_eye_takes_its_mask_along(eye):
    half = MOVES["resolution"].apply(eye, MOVES["resolution"].measure(eye) / 2, None)
    assert half.sclera.sum() == pytest.approx(eye.sclera.sum() / 4, rel=0.1)
    whites = [e.image[e.sclera].mean(axis=0) for e in (eye, half)]
    assert whites[0] == pytest.approx(whites[1], rel=0.05)


def test_an_eye_without_sclera_stays_as_it_is(eye):
    closed = MovedEye(eye.image, np.zeros(SIZE, bool))
    for name in ("resolution", "reflections"):
        assert np.isnan(MOVES[name].measure(closed)).all()
        assert MOVES[name].apply(closed, np.array([0.5]), np.random.default_rng(0)) is closed
    assert np.isnan(moves.gaze_of(closed.sclera))


def test_noise_is_measured_in_grey_levels():
    rng = np.random.default_rng(0)
    for deviation in (1.0, 5.0, 20.0):
        found = [moves.noise_level(rng.normal(128, deviation, SIZE)) for _ in range(20)]
        assert np.mean(found) == pytest.approx(deviation, rel=0.04)


def test_statistics_keep_to_their_own_factor(eye):
    darker = MovedEye((eye.image * 0.6).astype(np.uint8), eye.sclera)
    assert MOVES["colour"].measure(darker) == pytest.approx(MOVES["colour"].measure(eye), abs=0.02)
    assert moves.sharpness(darker.image) == pytest.approx(moves.sharpness(eye.image), rel=0.03)
    noisy = MOVES["noise"].apply(eye, np.array([6.0]), np.random.default_rng(0))
    assert moves.sharpness(noisy.image) == pytest.approx(moves.sharpness(eye.image), rel=0.25)


def test_gaze_is_read_from_the_mask():
    """Left of a wide almond, a round hole: the more it leaves the middle, the further aside the eye looks."""
    rows, columns = np.indices(SIZE)
    almond = ((rows - 48) / 20) ** 2 + ((columns - 64) / 50) ** 2 < 1
    found = [moves.gaze_of(almond & ((rows - 48) ** 2 + (columns - 64 - x) ** 2 > 15**2)) for x in (0, 10, 20, -20)]
    assert found[0] == pytest.approx(0, abs=0.01) and found[0] < found[1] < found[2] == pytest.approx(
        found[3], abs=0.02
    )
