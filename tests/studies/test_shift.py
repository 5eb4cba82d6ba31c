"""Distances between sets of features, against slow forms and closed forms, and their behaviour under chance."""

import numpy as np
import pandas as pd
import pytest
from scipy import linalg

from cgdseg.config import CGDSeg
from cgdseg.studies.gap import intervals, shift


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_mmd_is_the_double_loop_over_people(rng):
    features, people = rng.normal(size=(14, 3)), np.array(list("aabbbcddefghij"))
    kernel, names = shift.people_kernel(features, people)
    pairs = [(i, j) for i in range(14) for j in range(14) if people[i] != people[j]]
    bandwidth = np.median([((features[i] - features[j]) ** 2).sum() for i, j in pairs])

    def k(a, b):
        found = [
            np.exp(-((x - y) ** 2).sum() / (2 * bandwidth))
            for x in features[people == a]
            for y in features[people == b]
        ]
        return np.mean(found)

    inside, outside = list("abcd"), list("efghij")
    expected = np.mean([k(a, b) for a in inside for b in inside if a != b])
    expected += np.mean([k(a, b) for a in outside for b in outside if a != b])
    expected -= 2 * np.mean([k(a, b) for a in inside for b in outside])
    split = np.isin(names, inside)
    assert shift.mmd2(kernel, split) == pytest.approx(expected)
    assert shift.mmd2(kernel, np.stack([split, ~split])) == pytest.approx([expected] * 2)
    with pytest.raises(ValueError, match="two people on each side"):
        shift.mmd2(kernel, names == "a")


def test_p_is_uniform_under_chance_and_small_for_a_shift(rng):
    def p(moved):
        features = rng.normal(size=(36, 2)) + moved * (np.arange(36) < 12)[:, None]
        people = np.arange(36) // 2  # two images a person
        kernel, names = shift.people_kernel(features, people)
        return shift.permutation_p(kernel, names < 6, 99)

    under_chance = np.array([p(0) for _ in range(120)])
    assert 0.4 < under_chance.mean() < 0.6 and (under_chance <= 0.05).mean() < 0.12
    assert p(3) == pytest.approx(0.01)


def test_mmd_is_unbiased(rng):
    found = []
    for _ in range(200):
        kernel, _ = shift.people_kernel(rng.normal(size=(20, 2)), np.arange(20))
        found.append(shift.mmd2(kernel, np.arange(20) < 8))
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


def made_up(rng, moved) -> shift.Features:
    eyes = pd.DataFrame({"label": ["Drawn"] * 40 + ["Photos"] * 24, "domain": ["synthetic"] * 40 + ["real"] * 24})
    eyes["subject"] = [f"d{i}" for i in range(40)] + [f"p{i // 4}" for i in range(24)]
    return shift.Features(
        "numbers", rng.normal(size=(64, 5)) + moved * (eyes.domain == "real").to_numpy()[:, None], eyes
    )


def test_a_comparison_stands_beside_what_chance_gives(rng):
    near, far = shift.compare_domains(made_up(rng, 0), 8, 99), shift.compare_domains(made_up(rng, 3), 8, 99)
    assert near.second.tolist() == ["Drawn, other half", "Photos"] and near.images.tolist() == [20, 20]
    for measure in shift.DISTANCES:
        limits = far[f"{measure} limit"]
        assert far[measure][1] > limits[1] > far[measure][0] and limits.nunique() == 1
    assert far.p[1] == 0.01 and near.p[1] > 0.01 and np.isnan(near.p[0])
    assert near.dimensions[0] * shift.PER_AXIS <= near.images[0]


def test_halves_share_nobody(rng):
    eyes = made_up(rng, 0).eyes.assign(
        subject=lambda e: e.subject.where(e.index > 39, "d" + (e.index // 3).astype(str))
    )
    first, second = shift._halves(eyes, "Drawn", 20, rng)
    assert len(first) and len(second) and not set(eyes.subject[first]) & set(eyes.subject[second])


def test_features_are_the_release_models_unless_a_backbone_is_pretrained(tiny_config, tiny_cgdseg, monkeypatch):
    eyes = intervals.draw_eyes(tiny_config, ("train", "val"))
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
