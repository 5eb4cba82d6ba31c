"""Rendered eyes: the same arguments give the same eye, masks follow the geometry, every factor does something."""

import itertools

import numpy as np
import pytest

from cgdseg.eyes import Eye, render_eye
from cgdseg.eyes.eyeball import R_MAX, _iris_table
from cgdseg.eyes.factors import GROUPS, Factors, draw
from cgdseg.eyes.geometry import build_scene
from cgdseg.eyes.looks import LOOKS
from cgdseg.labels import IRIS, OTHER, PUPIL, SCLERA

SIZE = (75, 100)
RANDOMISED = LOOKS["randomised"]
IDENTITY = ("skin_tone", "iris_melanin", "sclera_yellow", "upper_height", "tilt")


def render(index=0, factors=RANDOMISED, **options) -> Eye:
    return render_eye(factors, 5, index, **{"size": SIZE, **options})


def same(a: Eye, b: Eye) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in Eye.__dataclass_fields__)


def test_an_eye_depends_on_seed_and_index_alone():
    first = [render(i) for i in range(4)]
    again = [render(i) for i in reversed(range(4))][::-1]
    assert all(map(same, first, again))
    assert not any(same(a, b) for a, b in itertools.combinations(first, 2))
    assert not same(first[0], render_eye(RANDOMISED, 6, 0, SIZE))


@pytest.mark.parametrize("size", [(48, 64), (75, 100), (128, 128), (301, 399), (90, 700)])
def test_image_and_masks_have_the_size_asked_for(size):
    eye = render(size=size)
    assert eye.image.shape == (*size, 3) and eye.image.dtype == np.uint8
    assert eye.labels.shape == size and eye.labels.dtype == np.uint8
    assert set(np.unique(eye.labels)) <= {OTHER, SCLERA, IRIS, PUPIL}
    for mask in (eye.caruncle, eye.lashes, eye.reflections):
        assert mask.shape == size and mask.dtype == bool


def test_identity_is_shared_by_a_persons_images():
    def identity(index, subject, eye):
        v = draw(RANDOMISED, 5, index, subject, eye)
        return {name: getattr(v, name) for name in IDENTITY}

    left, again, right, other = (identity(*k) for k in [(0, 1, "L"), (9, 1, "L"), (3, 1, "R"), (0, 2, "L")])
    assert left == again
    assert left["skin_tone"] == right["skin_tone"] and left["upper_height"] != right["upper_height"]
    assert all(left[name] != other[name] for name in IDENTITY)
    assert draw(RANDOMISED, 5, 0, 1, "L").blur != draw(RANDOMISED, 5, 9, 1, "L").blur


def centre(mask: np.ndarray) -> np.ndarray:
    return np.argwhere(mask).mean(0)


PLAIN = Factors(
    spread=(1, 1),
    roll=(0, 0),
    eye_width=(0.8, 0.8),
    offset_x=(0, 0),
    offset_y=(0, 0),
    perspective_x=(0, 0),
    perspective_y=(0, 0),
).without("geometry")


@pytest.mark.parametrize("eye", ["L", "R"])
def test_gaze_moves_the_iris(eye):
    at = {}
    for gaze in "lrsu":
        labels = render(3, PLAIN, subject=1, eye=eye, gaze=gaze).labels
        at[gaze] = centre(labels >= IRIS)
    assert at["r"][1] + 5 < at["s"][1] < at["l"][1] - 5  # the person's own left is the image's right
    assert at["u"][0] < at["s"][0] - 3


def test_the_nose_is_on_the_side_of_the_other_eye():
    factors = PLAIN.model_copy(update={"caruncle_start": (0.75, 0.75)})
    right, left = (centre(render(4, factors, eye=eye, gaze="s").caruncle)[1] for eye in "RL")
    assert left < SIZE[1] * 0.3 and right > SIZE[1] * 0.7


def test_masks_follow_the_geometry():
    for index in range(25):
        v = draw(RANDOMISED, 5, index, None, None)
        scene = build_scene(v, SIZE, None)
        inside = (scene.y > scene.upper) & (scene.y < scene.lower)
        labels, box = scene.labels, scene.box
        assert not labels[~inside].any() and not scene.caruncle[~inside].any()
        assert ((labels > 0) | scene.caruncle)[inside].all() and not (scene.caruncle & (labels > 0)).any()
        if scene.ball is not None:
            radius2 = scene.ball.radius2
            assert (radius2[labels[box] >= IRIS] < 1).all() and (radius2[labels[box] == SCLERA] >= 1).all()
            assert (radius2[labels[box] == PUPIL] < v.pupil_size**2).all()


def test_points_and_pixels_are_inverse():
    scene = build_scene(draw(RANDOMISED, 5, 1, None, None), SIZE, None)
    points = np.stack([scene.x, scene.y], -1).astype(float)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    assert np.abs(scene.pixels(points) - np.stack([columns, rows], -1)).max() < 1e-2


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_can_be_switched_off(group):
    changed = RANDOMISED.without(group)
    assert changed != RANDOMISED
    assert any(not np.array_equal(render(i).image, render(i, changed).image) for i in range(4))
    others = [name for g in GROUPS if g != group for name in names(g)]
    before, after = draw(RANDOMISED, 5, 0, None, None), draw(changed, 5, 0, None, None)
    assert all(getattr(before, name) == getattr(after, name) for name in others)


def names(group: str) -> list[str]:
    fields = Factors.model_fields.items()
    return [n for n, f in fields if f.json_schema_extra and f.json_schema_extra["group"] == group]


RANGES = [name for group in GROUPS for name in names(group)]


@pytest.mark.parametrize("name", RANGES)
def test_every_factor_changes_the_image(name):
    value = getattr(RANDOMISED, name)
    ends = [(x, x) for x in value] if isinstance(value, tuple) else [0.0, 1.0]
    never, always = (RANDOMISED.model_copy(update={name: end}) for end in ends)
    gaze = {"gaze_side": "l", "gaze_up": "u", "gaze_jitter": "s", "gaze_jitter_y": "s"}.get(name)
    assert any(not same(render(i, never, gaze=gaze), render(i, always, gaze=gaze)) for i in range(25))


def test_spread_pulls_typical_groups_towards_their_neutral_point():
    calm, wild = (RANDOMISED.model_copy(update={"spread": (s, s)}) for s in (0.0, 1.0))
    for name in ("eye_width", "blur", "upper_height", "skin_tone"):
        neutral = Factors.model_fields[name].json_schema_extra["neutral"][0]
        drawn = [[getattr(draw(factors, 5, i, None, None), name) for i in range(40)] for factors in (calm, wild)]
        assert set(drawn[0]) == {neutral} and np.std(drawn[1]) > 0
        between = [getattr(draw(RANDOMISED, 5, i, None, None), name) for i in range(40)]
        assert 0 < np.std(between) < np.std(drawn[1])
    one, other = (draw(factors, 5, 0, None, None) for factors in (calm, wild))
    assert one.upper_lashes == other.upper_lashes and one.brow == other.brow  # their neutral point is absence


@pytest.mark.parametrize("limbus", [0.02, 0.14])
def test_the_iris_is_half_transparent_where_its_mask_ends(limbus):
    """The masks' edge must lie where a person would draw it, whatever the softness."""
    v = draw(RANDOMISED.model_copy(update={"limbus": (limbus, limbus), "spread": (1, 1)}), 5, 1, None, None)
    table = _iris_table(v, 1)
    radii = np.linspace(0, R_MAX, len(table))
    assert np.interp(1.0, radii, table[:, 0, 3]) == pytest.approx(0.5, abs=0.12)  # a cell is wider than a sharp edge


def test_without_all_groups_is_a_plain_eye():
    factors = RANDOMISED
    for group in GROUPS:
        factors = factors.without(group)
    labels = render(0, factors, eye="R").labels
    assert np.array_equal(labels, render(7, factors, eye="R").labels)
    assert {SCLERA, IRIS, PUPIL} <= set(np.unique(labels))


@pytest.mark.parametrize("switch", [n for n in Factors.model_fields if n.startswith("label_")])
def test_the_mask_convention_is_a_switch(switch):
    flipped = RANDOMISED.model_copy(update={switch: not getattr(RANDOMISED, switch)})
    for index in range(30):
        one, two = render(index), render(index, flipped)
        assert np.array_equal(one.image, two.image)
        if not np.array_equal(one.labels, two.labels):
            return
    raise AssertionError(f"{switch} never changed a mask")


@pytest.mark.parametrize("look", LOOKS)
def test_looks_show_plausible_eyes(look):
    shares, light = [], []
    for index in range(50):
        eye = render(index, LOOKS[look])
        shares.append((eye.labels == SCLERA).mean())
        light.append(eye.image.mean())
    assert 0.03 < np.mean(shares) < 0.3 and np.max(shares) < 0.65
    assert np.mean(np.array(shares) > 0.005) >= 0.95
    assert 40 < np.mean(light) < 210 and np.std(light) > 3


def test_looks_differ_in_colour_sharpness_and_crop():
    def measures(look):
        eyes = [render(i, LOOKS[look]) for i in range(30)]
        colour = np.mean([e.image.reshape(-1, 3).mean(0) for e in eyes], 0)
        detail = np.mean([np.abs(np.diff(e.image.astype(float), axis=1)).mean() for e in eyes])
        return (colour[0] / colour[2], detail, np.mean([(e.labels > 0).mean() for e in eyes]))

    found = {look: measures(look) for look in ("syncroi", "masd", "sbvpi")}
    for a, b in itertools.combinations(found.values(), 2):
        assert np.max(np.abs(np.log(np.array(a) / np.array(b)))) > 0.2


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="low, high"):
        Factors(blur=(1, 0))
    with pytest.raises(ValueError, match="the groups are: geometry"):
        RANDOMISED.without("hair")
    with pytest.raises(ValueError, match="no gaze 'x'"):
        render(gaze="x")
