"""Where the renderer knows the truth: what was changed is blamed, swapped looks add up, and words judge in numbers."""

import numpy as np
import pandas as pd
import pytest

from cgdseg.config import load_config
from cgdseg.data import standins
from cgdseg.eyes.factors import GROUPS
from cgdseg.eyes.looks import LOOKS
from cgdseg.figures import gap as draw
from cgdseg.studies.gap import attribution, known, tables, words
from cgdseg.studies.gap.attribution import FACTORS
from cgdseg.studies.gap.moves import MIXES, MOVES

SIZE = (96, 128)
WINDOW = np.zeros(SIZE, bool)
WINDOW[30:66, 14:114] = True


def window(images):
    """A predictor that sees nothing: only where the sclera lies can cost it anything."""
    return np.repeat(WINDOW[None], len(images), 0)


def bright(images):
    return images.mean(axis=-1) > 120


def test_the_factor_that_was_changed_is_blamed(monkeypatch):
    """A fixed brightness minds the exposure; a small window in the middle minds how large the eye is."""
    for name, ranges, predict in [
        ("exposure", {"exposure": (0.4, 0.5)}, bright),
        ("resolution", {"eye_width": (0.4, 0.5)}, window),
    ]:
        monkeypatch.setattr(known, "KNOWN", {name: ranges})
        table = known.known_gaps(predict, LOOKS["syncroi"], SIZE, 8)
        points = table.set_index("factor").points
        assert points["gap"] > 0.05 and points[list(FACTORS)].idxmax() == name
        assert points[name] == pytest.approx(points["gap"], rel=0.35)
        assert f"about right for {name}" in words.read_blame(table)


def test_every_factor_is_tried():
    """What the renderer changes for a factor is what that factor measures."""
    assert list(known.KNOWN) == list(FACTORS)
    look = LOOKS["syncroi"]
    source = known._rendered(look, SIZE, 8, 0)
    for name, ranges in known.KNOWN.items():
        target = known._rendered(look.model_copy(update=ranges), SIZE, 8, 0)
        measure = MOVES[name].measure if name in MOVES else lambda eye, name=name: np.array([MIXES[name](eye.sclera)])
        here, there = (np.array([measure(eye)[0] for eye in eyes.each()]) for eyes in (source, target))
        assert abs(np.nanmean(there) - np.nanmean(here)) > 0.25 * np.nanstd(here), name


def test_a_look_is_mixed_of_two():
    source, target = LOOKS["syncroi"], LOOKS["masd"]
    everything = (*known.PARTS, known.REST)
    assert known.mixed_look(source, target, ()) == source
    assert known.mixed_look(source, LOOKS["randomised"], everything) == LOOKS["randomised"]  # spread and labels as well
    near = known.mixed_look(source, target, {"framing"})
    assert near.eye_width == target.eye_width and near.blur == source.blur and near.skin_tone == source.skin_tone
    groups = [group for rendered, _ in known.PARTS.values() for group in rendered]
    assert len(groups) == len(set(groups)) and set(groups) < set(GROUPS)
    factors = [factor for _, estimated in known.PARTS.values() for factor in estimated]
    assert sorted(factors) == sorted(FACTORS)


@pytest.fixture(scope="module")
def cfg():
    smoke = load_config("smoke")
    return smoke.model_copy(update={"gap": smoke.gap.model_copy(update={"images": 4})})


def test_swapped_looks_share_out_the_whole_gap(cfg):
    source, target = cfg.datasets["SynCROI"], cfg.datasets["MASD"]
    lost = known.swapped(window, source, target, SIZE, 4)
    assert (lost[["light", "reflections", "lens and sensor"]] == 0).all(axis=None)  # these move no mask
    assert lost.framing.mean() > 0.1 and lost.framing.abs().mean() > 2 * lost[known.REST].abs().mean()
    seen = []
    known.swapped(lambda images: (seen.append(images), bright(images))[1], source, target, SIZE, 1)
    assert len(seen[0]) == 12  # two walks of seven steps that share both ends
    assert known.swapped(window, source, source, SIZE, 2).to_numpy() == pytest.approx(0)


def test_what_is_no_factor_of_the_renderer_is_swapped_as_well(cfg, monkeypatch):
    """A photographer's commands come with the lids, the file with the lens."""
    asked = []
    monkeypatch.setattr(known, "_eye", lambda *given: asked.append(given[4:]) or _blank())
    monkeypatch.setattr(known, "mixed_look", lambda source, target, team: asked.append(team))
    known.swapped(window, cfg.datasets["SynCROI"], cfg.datasets["MASD"], SIZE, 1)
    for team, (gaze, _, name) in zip(asked[::2], asked[1::2], strict=True):
        assert (gaze in set("lrsu")) == ("gaze and lids" in team)
        assert name.endswith(".jpg" if "lens and sensor" in team else ".png")


def test_swapped_eyes_are_the_eyes_of_the_target(cfg):
    """With every part swapped, an eye has the pixels that the stand-in's files give back, but for the person."""
    dataset = cfg.datasets["MASD"]
    stored = known._eye(LOOKS["masd"], (300, 400), 0, 3, "l", name="x.jpg")
    drawn = known._eye(LOOKS["masd"], (300, 400), 0, 3, "l")
    assert np.array_equal(stored.sclera, drawn.sclera) and not np.array_equal(stored.image, drawn.image)
    assert np.abs(stored.image.astype(int) - drawn.image).mean() < 3
    assert standins.plan(dataset.layout, dataset.stand_in)[0].image.endswith(".jpg")


def _blank():
    return known.MovedEye(np.zeros((*SIZE, 3), np.uint8), WINDOW)


def test_truth_stands_beside_the_estimate(cfg):
    source = known._rendered(LOOKS["syncroi"], SIZE, 4, 1)
    target = known._rendered(LOOKS["masd"], SIZE, 4, 2)
    found = {"MASD stand-in": attribution.predict_coalitions(bright, source, target)}
    table = known.true_parts(cfg, bright, "SynCROI stand-in", found, SIZE)
    assert table.part.tolist() == [*known.PARTS, known.REST, "gap"] and (table.eyes == 4).all()
    for column in ("points", "estimated"):
        assert table[column][:-1].sum() == pytest.approx(table[column].iloc[-1])
    each = attribution.points_of(found["MASD stand-in"]).set_index("factor").points
    assert table.estimated[1] == pytest.approx(each["colour"] + each["exposure"])
    assert table.estimated[5] == pytest.approx(each["unexplained"])
    assert tables.truth(table)["true points"][0] == pytest.approx(100 * table.points[0])
    assert [t.get_text() for t in draw.true_and_estimated(table).axes[0].get_yticklabels()] == table.part.tolist()
    assert "on 4 rendered eyes" in words.read_truth(table)


def test_real_eyes_have_no_known_truth(cfg):
    real = cfg.datasets["MASD"].model_copy(update={"stand_in": None})
    cfg = cfg.model_copy(update={"datasets": {**cfg.datasets, "MASD": real}})
    table = known.true_parts(cfg, bright, "SynCROI stand-in", {"MASD": None}, SIZE)
    assert table.empty and "nobody knows" in words.read_truth(table)


def truth(estimated, low, high) -> pd.DataFrame:
    rows = {"part": ["light", known.REST, "gap"], "points": [0.1, 0.2, 0.3], "low": [0.08, 0.1, 0.2]}
    rows |= {"high": [0.12, 0.3, 0.4], "estimated": [estimated, 0.3, 0.3], "eyes": 9, "dataset": "Photos"}
    return pd.DataFrame(rows).assign(**{"estimated low": [low, 0.2, 0.2], "estimated high": [high, 0.4, 0.4]})


def test_words_say_what_the_estimate_misses():
    near, far = words.read_truth(truth(0.09, 0.05, 0.15)), words.read_truth(truth(0.01, 0.0, 0.02))
    assert "lie apart for no part" in near
    assert "lie apart for light (estimated +1.0 points (+0.0 to +2.0), truly +10.0 points" in far
    assert "truly cost +10.0; the estimate finds +1.0" in far and "+30.0 stay unexplained" in far


def blamed(changed, gap, **points) -> pd.DataFrame:
    rows = dict.fromkeys(FACTORS, 0.0) | points
    rows |= {"explained": sum(rows.values()), "unexplained": gap - sum(rows.values()), "gap": gap}
    table = pd.DataFrame({"factor": list(rows), "points": list(rows.values()), "changed": changed})
    return table.assign(low=table.points - 0.01, high=table.points + 0.01, **{"target images": 7})


def test_blame_is_judged_by_points_and_not_by_who_has_the_most():
    """All three have the most on the right factor; twice and half of what there is are wrong nevertheless."""
    cases = [
        blamed("resolution", 0.1, resolution=0.2),
        blamed("blur", 0.1, blur=0.04),
        blamed("noise", 0.1, noise=0.09),
    ]
    text = words.read_blame(pd.concat([*cases, blamed("colour", 0.002)]))
    assert "about right for noise (90 %); too much for resolution (200 %); too little for blur (40 %)" in text
    assert "Changing colour costs this run less than a point" in text and "on 7 eyes" in text
    assert "- changing resolution costs +10.0 points: +20.0 points (+19.0 to +21.0) are put on it" in text
    assert "-10.0 stay unexplained" in text
    noisy = words.read_blame(blamed("colour", 0.0, colour=0.05, blur=-0.03))
    assert "too much for colour (there is hardly a gap)" in noisy and "3.0 (of either sign) on other factors" in noisy
    assert "nothing can be told" in words.read_blame(blamed("colour", 0.002))
