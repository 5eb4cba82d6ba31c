"""Distances between sets of features, against slow forms and closed forms, and their behaviour under chance."""

import numpy as np
import pandas as pd
import pytest
from scipy import linalg

from cgdseg.config import CGDSeg
from cgdseg.studies.gap import domains, shift


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_mmd_is_the_double_loop_over_pairs(rng):
    features, side = rng.normal(size=(10, 3)), np.arange(10) < 4
    pairs = [(i, j) for i in range(10) for j in range(10) if i != j]
    squares = {(i, j): ((features[i] - features[j]) ** 2).sum() for i in range(10) for j in range(10)}
    bandwidth = np.median([squares[pair] for pair in pairs])

    def mean(a, b):
        return np.mean([np.exp(-squares[i, j] / (2 * bandwidth)) for i, j in pairs if side[i] == a and side[j] == b])

    expected = mean(True, True) + mean(False, False) - 2 * mean(True, False)
    kernel = shift.rbf_kernel(features)
    assert shift.mmd2(kernel, side) == pytest.approx(expected)
    assert shift.mmd2(kernel, np.stack([side, ~side])) == pytest.approx([expected] * 2)
    with pytest.raises(ValueError, match="two people on each side"):
        shift.mmd2(kernel, np.arange(10) == 3)


def test_p_is_uniform_under_chance_and_small_for_a_shift(rng):
    def p(moved):
        side = np.arange(18) < 6
        return shift.permutation_p(shift.rbf_kernel(rng.normal(size=(18, 2)) + moved * side[:, None]), side, 99)

    under_chance = np.array([p(0) for _ in range(120)])
    assert 0.4 < under_chance.mean() < 0.6 and (under_chance <= 0.05).mean() < 0.12
    assert p(4) == pytest.approx(0.01)


def test_mmd_is_unbiased(rng):
    found = [shift.mmd2(shift.rbf_kernel(rng.normal(size=(20, 2))), np.arange(20) < 8) for _ in range(200)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(200)


def test_frechet_has_its_closed_forms(rng):
    first, second = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4)), rng.normal(size=(50, 4)) + 1
    a, b = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    means = first.mean(0) - second.mean(0)
    expected = means @ means + np.trace(a + b - 2 * linalg.sqrtm(a @ b).real)
    assert shift.frechet(first, second) == pytest.approx(expected, rel=1e-6)
    assert shift.frechet(first, first) == pytest.approx(0, abs=1e-6)
    one, other = rng.normal(0, 1, (30, 1)), rng.normal(3, 2, (30, 1))  # (mean difference)² + (deviation difference)²
    assert shift.frechet(one, other) == pytest.approx(
        (one.mean() - other.mean()) ** 2 + (one.std(ddof=1) - other.std(ddof=1)) ** 2
    )


def test_a_distance_is_nothing_for_equals_and_two_for_strangers(rng):
    people = np.arange(120) // 2
    alike = [shift.proxy_a_distance(*np.split(rng.normal(size=(120, 4)), 2), people, seed) for seed in range(8)]
    assert abs(np.mean(alike)) < 0.25
    apart = rng.normal(size=(120, 4)) + 8 * (np.arange(120) < 60)[:, None]
    assert shift.proxy_a_distance(*np.split(apart, 2), people) == pytest.approx(2)
    assert np.isnan(shift.proxy_a_distance(apart[:4], apart[60:], np.r_[[0] * 4, people[60:]]))


def test_people_who_are_recognised_do_not_count_as_a_domain(rng):
    """With the same person in training and test folds, every face would be a domain of its own."""
    people = np.repeat(np.arange(10), 8)
    features = 5 * rng.normal(size=(10, 12))[people] + 0.1 * rng.normal(size=(80, 12))
    assert shift.proxy_a_distance(features[:40], features[40:], people) < 1
    assert shift.proxy_a_distance(features[:40], features[40:], np.arange(80)) > 1.5


def made_up(rng, moved=0.0, alike=0.0, people=8, images=8) -> shift.Features:
    """64 people with an image each, and `people` with several that resemble each other (intra-class correlation)."""
    subjects = np.concatenate([np.arange(64), 64 + np.arange(people).repeat(images)])
    values = np.sqrt(alike) * rng.normal(size=(64 + people, 4))[subjects]
    values = values + np.sqrt(1 - alike) * rng.normal(size=(len(subjects), 4)) + moved * (subjects >= 64)[:, None]
    eyes = pd.DataFrame({"label": "Drawn", "domain": "synthetic", "subject": subjects})
    eyes.loc[64:, ["label", "domain"]] = ["Photos", "real"]
    return shift.Features("numbers", values, eyes)


def beyond(features: shift.Features) -> list[bool]:
    """Whether each measure exceeds its limit, and p 5 %."""
    row = shift.compare_domains(features, 3, 20, 49).iloc[1]
    return [*(row[name] > row[f"{name} limit"] for name in shift.DISTANCES), row.p <= 0.05]


def test_a_comparison_stands_beside_what_chance_gives(rng):
    far = shift.compare_domains(made_up(rng, 3), 4, 20, 99)
    assert far.second.tolist() == ["Drawn, others of it", "Photos"]
    assert far.people.tolist() == [8, 8] and far.others.tolist() == [56, 56]
    for measure in shift.DISTANCES:
        limits = far[f"{measure} limit"]
        assert far[measure][1] > limits[1] > far[measure][0] and limits.nunique() == 1
    assert far.p[1] == 0.01 and np.isnan(far.p[0])
    assert far.dimensions[0] * shift.PER_AXIS <= far.people[0]


def test_people_of_one_population_are_no_domain(rng):
    """Eight people with eight images that resemble each other lie no further off than eight other people would.

    Halves of 32 people with one image each as the yardstick put such a set beyond chance more often than not."""
    rates = np.mean([beyond(made_up(rng, alike=0.6)) for _ in range(8)], axis=0)
    assert (rates <= 1 / 8).all(), dict(zip([*shift.DISTANCES, "p"], rates, strict=True))
    moved = np.mean([beyond(made_up(rng, moved=1.5, alike=0.6)) for _ in range(3)], axis=0)
    assert (moved >= 0.5).all(), dict(zip([*shift.DISTANCES, "p"], moved, strict=True))


def test_too_few_people_are_not_compared(rng):
    row = shift.compare_domains(made_up(rng, moved=3, people=1), 2, 4, 9).iloc[1]
    assert row[[*shift.DISTANCES, "p"]].isna().all()


def test_everybody_is_in_a_draw_once(rng):
    features = made_up(rng)
    rows = shift._one_each(features.eyes, "Photos", rng)
    assert sorted(features.eyes.subject[rows]) == list(range(64, 72))
    assert {*rows} != {*shift._one_each(features.eyes, "Photos", rng)}


def test_features_are_the_release_models_unless_a_backbone_is_pretrained(tiny_config, tiny_cgdseg, monkeypatch):
    eyes = domains.draw_eyes(tiny_config, ("train", "val"))
    found = shift.extract(tiny_config, eyes)
    assert "ships with the repository" in found.encoder
    assert found.values.shape[0] == len(eyes) and np.isfinite(found.values).all()
    assert found.values.std(axis=0) == pytest.approx(1, abs=1e-5) and len(found.of("Photos")[0]) == 12
    backbone = tiny_cgdseg.backbone.model_copy(update={"source": "some/dinov2"})
    pretrained = tiny_config.model_copy(
        update={"systems": {"cgdseg": CGDSeg(**{**dict(tiny_cgdseg), "backbone": backbone})}}
    )
    monkeypatch.setattr(
        shift, "build_patch_encoder", lambda settings, size: _encoder(tiny_cgdseg.backbone, size, settings.tuning)
    )
    other = shift.extract(pretrained, eyes)
    assert other.encoder == "mean patch tokens of some/dinov2" and other.values.shape[1] <= 24


def _encoder(backbone, size, tuning):
    from cgdseg.models.vision import build_patch_encoder

    assert tuning == "frozen"
    return build_patch_encoder(backbone.model_copy(update={"tuning": tuning}), size)
