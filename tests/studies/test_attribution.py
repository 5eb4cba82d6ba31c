"""A gap taken apart: Shapley values are what they should be, and the guilty one is found."""

import itertools

import numpy as np
import pytest

from cgdseg.eyes import render_eye
from cgdseg.eyes.looks import LOOKS
from cgdseg.labels import SCLERA
from cgdseg.studies.gap import attribution, tables, words
from cgdseg.studies.gap.attribution import FACTORS, Eyes
from cgdseg.studies.gap.moves import MOVES, MovedEye

SIZE = (96, 128)


def rendered(look="syncroi", n=6, seed=3) -> list[MovedEye]:
    eyes = [render_eye(LOOKS[look], seed, i, SIZE) for i in range(n)]
    return [MovedEye(eye.image, eye.labels == SCLERA) for eye in eyes]


def together(eyes: list[MovedEye]) -> Eyes:
    return Eyes(np.stack([e.image for e in eyes]), np.stack([e.sclera for e in eyes]), np.arange(len(eyes)))


def toy(seed=0, n=4):
    players = tuple("abcd"[:n])
    rng = np.random.default_rng(seed)
    return players, {team: rng.normal(size=3) for team in attribution._subsets(players)}


def test_shapley_values_are_means_over_all_orders():
    players, values = toy()
    found = attribution.shapley(values, players)
    orders = list(itertools.permutations(players))
    for player in players:
        gains = []
        for order in orders:
            before = frozenset(order[: order.index(player)])
            gains.append(values[before | {player}] - values[before])
        assert found[player] == pytest.approx(np.mean(gains, axis=0), abs=1e-12)
    assert sum(found.values()) == pytest.approx(values[frozenset(players)] - values[frozenset()])


def test_shapley_values_treat_equals_alike_and_give_idlers_nothing():
    values = {team: np.array(float(len(team & {"a", "b"}) == 2)) for team in attribution._subsets("abc")}
    found = attribution.shapley(values, tuple("abc"))
    assert (found["a"], found["b"], found["c"]) == (0.5, 0.5, 0.0)


def test_goals_keep_the_order_and_take_the_targets_values():
    source, target = together(rendered(n=8)), together(rendered("masd", n=5))
    goals = attribution.goals_of(source, target)
    assert set(goals) == set(MOVES)
    have, want = ([MOVES["noise"].measure(e)[0] for e in eyes.each()] for eyes in (source, target))
    assert np.argsort(goals["noise"][:, 0]).tolist() == np.argsort(have).tolist()
    assert min(want) <= goals["noise"].min() and goals["noise"].max() <= max(want)
    assert attribution._coupled(np.array([3.0, np.nan, 1.0]), np.array([10.0, 20.0]))[[0, 2]].tolist() == [20.0, 10.0]


def test_weights_give_the_source_the_targets_mix():
    rng = np.random.default_rng(0)
    present = {"gaze mix": rng.normal(0, 1, 600), "sclera fraction": rng.normal(size=600)}
    wanted = {"gaze mix": rng.normal(0.8, 1, 300), "sclera fraction": rng.normal(size=300)}
    weights = attribution.mix_weights(present, wanted, frozenset({"gaze mix"}))
    assert weights.mean() == pytest.approx(1) and weights.max() < 2 * attribution.MOST_WEIGHT
    assert (weights * present["gaze mix"]).mean() == pytest.approx(0.8, abs=0.12)
    assert attribution.mix_weights(present, wanted, frozenset()).tolist() == [1.0] * 600


def test_parts_and_rest_are_the_gap():
    source, target = together(rendered(n=6)), together(rendered("masd", n=6))

    def bright(images):
        return images.mean(axis=-1) > 120

    table = attribution.take_apart(bright, source, target).set_index("factor")
    assert table.index.tolist() == [*FACTORS, "explained", "unexplained", "gap"]
    home, away = (attribution.f1_of(bright, eyes.each()).mean() for eyes in (source, target))
    assert table.points["gap"] == pytest.approx(home - away)
    assert table.points[list(FACTORS)].sum() + table.points["unexplained"] == pytest.approx(home - away)
    assert (table.low <= table.points + 1e-9).all() and (table.points <= table.high + 1e-9).all()
    again = attribution.take_apart(bright, source, target).set_index("factor")
    assert again.equals(table)


def test_no_gap_has_no_shares():
    eyes = together(rendered(n=5))
    table = attribution.take_apart(lambda images: images.mean(axis=-1) > 120, eyes, eyes)
    assert table.share.isna().all() and table.points.abs().max() < 0.2


def test_tables_say_how_many_stand_behind_them():
    source, target = together(rendered(n=5)), together(rendered("masd", n=4))
    target = Eyes(target.images, target.sclera, np.array(list("aabb")))
    found = attribution.take_apart(lambda images: images.mean(axis=-1) > 120, source, target, 20)
    table = tables.gap_factors(found.assign(dataset="Photos"))
    assert table.iloc[0, -4:].to_dict() == dict(zip(table.columns[-4:], [5, 5, 4, 2], strict=True))
    assert [*table.columns[-4:]] == ["source images", "source people", "target images", "target people"]
    assert "from 5 eyes of 5 people to 4 eyes of 2 people" in words.read_factors(found.assign(dataset="Photos"))


def test_factors_may_be_counted_together():
    source, target = together(rendered(n=4)), together(rendered("masd", n=4))
    sets = attribution.predict_coalitions(lambda images: images.mean(axis=-1) > 120, source, target)
    each = attribution.points_of(sets).set_index("factor").points
    both = attribution.points_of(sets, groups={"light": ("colour", "exposure")}).set_index("factor")
    assert both.points["light"] == pytest.approx(each["colour"] + each["exposure"])
    assert both.points["unexplained"] == pytest.approx(each["gap"] - both.points["light"])
    assert both.low["light"] <= both.points["light"] <= both.high["light"]


def test_moves_of_a_set_are_made_in_one_order():
    """They do not commute, and attribution's docstring says in which order they are made."""
    source, target = together(rendered(n=2)), together(rendered("masd", n=2))
    goals = attribution.goals_of(source, target)
    found = dict(attribution.moved_eyes(source.each(), goals))
    eye = source.each()[0]
    for name in ("resolution", "noise"):
        eye = attribution._moved(name, eye, goals[name][0], 0, 0)
    assert np.array_equal(found[frozenset({"noise", "resolution"})][0].image, eye.image)
    other = source.each()[0]
    for name in ("noise", "resolution"):
        other = attribution._moved(name, other, goals[name][0], 0, 0)
    assert not np.array_equal(other.image, eye.image)


def test_no_eye_is_predicted_twice():
    source, target = together(rendered(n=3)), together(rendered("masd", n=3))
    seen = []

    def bright(images):
        seen.extend(image.tobytes() for image in images)
        return images.mean(axis=-1) > 120

    sets = attribution.predict_coalitions(bright, source, target)
    ours = seen[:-3]  # the target comes last
    assert len(ours) == len(set(ours)) < 3 * 2 ** len(MOVES)
    goals = attribution.goals_of(source, target)
    for moves, eyes in attribution.moved_eyes(source.each(), goals):
        assert sets.f1[moves] == pytest.approx(attribution.f1_of(bright, eyes))
