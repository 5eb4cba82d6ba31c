"""A gap taken apart: Shapley values are what they should be, and the guilty one is found."""

import itertools

import numpy as np
import pytest

from cgdseg.eyes import render_eye
from cgdseg.eyes.looks import LOOKS
from cgdseg.labels import SCLERA
from cgdseg.studies.gap import attribution
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

    table = attribution.take_apart(bright, source, target, 50).set_index("factor")
    assert table.index.tolist() == [*FACTORS, "explained", "unexplained", "gap"]
    home, away = (attribution.f1_of(bright, eyes.each()).mean() for eyes in (source, target))
    assert table.points["gap"] == pytest.approx(home - away)
    assert table.points[list(FACTORS)].sum() + table.points["unexplained"] == pytest.approx(home - away)
    assert (table.low <= table.points + 1e-9).all() and (table.points <= table.high + 1e-9).all()
    again = attribution.take_apart(bright, source, target, 50).set_index("factor")
    assert again.equals(table)


def test_no_gap_has_no_shares():
    eyes = together(rendered(n=5))
    table = attribution.take_apart(lambda images: images.mean(axis=-1) > 120, eyes, eyes, 50)
    assert table.share.isna().all() and table.points.abs().max() < 0.2


def test_the_factor_that_was_changed_is_blamed(monkeypatch):
    """A fixed brightness minds the exposure; a small window in the middle minds how large the eye is."""
    monkeypatch.setattr(attribution, "KNOWN", {"exposure": {"exposure": (0.4, 0.5)}})
    table = attribution.known_gaps(lambda images: images.mean(axis=-1) > 120, LOOKS["syncroi"], SIZE, 8)
    points = table.set_index("factor").points
    assert points["gap"] > 0.05 and points[list(FACTORS)].idxmax() == "exposure"
    assert points["exposure"] == pytest.approx(points["gap"], rel=0.35)

    window = np.zeros(SIZE, bool)
    window[30:66, 14:114] = True
    monkeypatch.setattr(attribution, "KNOWN", {"resolution": {"eye_width": (0.4, 0.5)}})
    table = attribution.known_gaps(lambda images: np.repeat(window[None], len(images), 0), LOOKS["syncroi"], SIZE, 8)
    points = table.set_index("factor").points
    assert points["gap"] > 0.05 and points[list(FACTORS)].idxmax() == "resolution"
    assert points["resolution"] == pytest.approx(points["gap"], rel=0.35)
