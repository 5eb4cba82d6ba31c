"""What leakage is worth: planted effects come back, with what they must not be confused with."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from tiny_data import make_config

from cgdseg import paths
from cgdseg.figures import leakage as plots
from cgdseg.studies import leakage

CONDITIONS = {"mixed": ["Drawn", "Photos"], "published": ["Drawn", "Photos"], "synthetic": ["Drawn"]}


def config(conditions=CONDITIONS, **settings):
    datasets = {name: {"layout": "plain", "domain": domain} for name, domain in (("Drawn", "synthetic"),)}
    datasets |= {name: {"layout": "plain", "domain": "real"} for name in ("Photos", "Others")}
    settings = {"splits": {"protocols": {"published": "published"}}} | settings
    return make_config(paths.HOME / "absent", datasets, conditions, **settings)


def study(image=0.0, person=0.0, data=0.0, n_people=20, per_person=10, noise=0.02, seed=0):
    """Scores and splits of `mixed` and `published`, in which seeing an image, knowing its person and more training data
    are worth so much F1. Photos is trained on; of Others nobody saw anything."""
    rng = np.random.default_rng(seed)
    rows, parts = [], []
    for dataset in ("Photos", "Others"):
        for who in range(n_people):
            base = 0.7 + rng.normal(0, 0.05)
            for k in range(per_person):
                image_id = f"{dataset}/{who}_{k}"
                part = "val" if k == 0 else "train"
                own = data + (person + image * (part == "train") if dataset == "Photos" else 0)
                score = base + rng.normal(0, noise)
                common = {"part": "test", "image_id": image_id, "label": dataset, "subject": f"{dataset}:{who}"}
                rows.append(common | {"condition": "published", "f1": score + own + rng.normal(0, noise)})
                if dataset == "Others" or who % 2:
                    rows.append(common | {"condition": "mixed", "f1": score})
                if dataset == "Photos":
                    parts.append(("published", "published", image_id, part))
                parts.append(("published", "published", image_id, "test"))
    scores = pd.DataFrame(rows).assign(system="unet", seed=42)
    return scores, pd.DataFrame(parts, columns=["protocol", "condition", "image_id", "part"])


def test_twins_differ_in_their_protocol_only():
    assert leakage.twins(config()) == [("mixed", "published")]
    assert leakage.twins(config(splits={})) == []
    assert leakage.twins(config(training={"stream": {"mixed": 8}})) == []
    assert leakage.twins(config(CONDITIONS | {"published": ["Photos"]})) == []


def test_planted_effects_come_back():
    table = leakage.paired_scores(*study(image=0.06, person=0.03, data=0.01), config())
    same = leakage.same_images(table).set_index("dataset")
    assert same.change["Photos"] == pytest.approx(0.06 * 0.9 + 0.04, abs=0.01) and same.p["Photos"] < 0.01
    assert same.change["Others"] == pytest.approx(0.01, abs=0.006)  # a set nobody trains on: more data, no leak
    assert same["images trained on"].to_dict() == {"Photos": 0.9, "Others": 0.0}
    assert same["subjects trained on"].to_dict() == {"Photos": 1.0, "Others": 0.0}
    exposure = leakage.by_exposure(table).set_index(["dataset", "exposure"])
    assert exposure.change["Photos", "trained on the person only"] == pytest.approx(0.04, abs=0.015)
    seen = exposure.loc[("Photos", "trained on the image")]
    assert seen["image itself"] == pytest.approx(0.06, abs=0.015) and seen["image itself low"] > 0.03
    assert list(exposure.loc["Others"].index) == ["trained on neither"]


def test_what_is_reported_is_a_plain_mean():
    scores, splits = study(image=0.05)
    row = leakage.reported(leakage.paired_scores(scores, splits, config())).set_index("dataset").loc["Photos"]
    means = scores[scores.label == "Photos"].groupby("condition").f1.mean()
    assert row["published f1"] == pytest.approx(means["published"])
    assert row["honest f1"] == pytest.approx(means["mixed"])
    assert row.inflation == pytest.approx(means["published"] - means["mixed"])
    assert row.low < row.inflation < row.high and (row.images, row["honest images"]) == (200, 100)


def test_without_leakage_the_interval_covers_zero():
    hits = [
        row.low < 0 < row.high
        for seed in range(40)
        for row in leakage.reported(leakage.paired_scores(*study(seed=seed, n_people=12), config())).itertuples()
    ]
    assert np.mean(hits) > 0.8


def test_the_interval_knows_that_the_honest_people_are_among_all():
    """Where both runs score alike and everyone is tested twice, people in common cancel."""
    scores, splits = study(noise=0)
    twice = scores[scores.condition == "published"].assign(condition="mixed")
    both = pd.concat([scores[scores.condition == "published"], twice])
    row = leakage.reported(leakage.paired_scores(both, splits, config())).iloc[0]
    assert row.inflation == row.low == row.high == 0 and row["honest low"] < row["honest high"]


def test_one_person_has_no_interval():
    row = leakage.same_images(leakage.paired_scores(*study(n_people=2), config())).set_index("dataset").loc["Photos"]
    assert row.subjects == 1 and np.isnan([row.low, row.high, row.p, row.effect]).all()


def test_it_is_read_in_words_and_drawn():
    table = leakage.paired_scores(*study(image=0.06, person=0.03, data=0.01), config())
    found = leakage.reported(table), leakage.same_images(table), leakage.by_exposure(table)
    words = leakage.read_leakage(*found)
    assert "unet on Photos: the inflation is +" in words and "90 % of these images and 100 % of these people" in words
    assert "unet on Others" in words and "this is what more training data is worth" in words
    assert "where it knew the person only by +" in words
    assert "honest F1" in leakage.leak_reported(found[0]) and len(leakage.leak_exposure(found[2])) == 3
    assert leakage.leak_same(found[1])["% of images trained on"].tolist() == [90, 0]
    plt.close(plots.leakage(found[0]))


def test_nothing_to_compare_is_said():
    scores, splits = study()
    half = scores[scores.condition == "published"].assign(system="segnet")  # trained under one protocol only
    found = leakage.paired_scores(pd.concat([scores, half]), splits, config())
    assert set(found.system) == {"unet"}
    table = leakage.paired_scores(scores[scores.condition == "mixed"], splits, config())
    found = leakage.reported(table), leakage.same_images(table), leakage.by_exposure(table)
    assert all(frame.empty for frame in found) and "Nothing to compare" in leakage.read_leakage(*found)
    assert leakage.leak_reported(found[0]).empty and leakage.leak_same(found[1]).empty
    plt.close(plots.leakage(found[0]))
