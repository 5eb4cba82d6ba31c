"""Tables of test scores and their readings, from scores made up so that the answer is known."""

import numpy as np
import pandas as pd
import pytest

from cgdseg.figures.widgets import failures
from cgdseg.scoring.calibration import count_levels
from cgdseg.scoring.statistics import rank_correlation
from cgdseg.studies.scores import tables
from cgdseg.studies.scores import words as readings


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    """Two sets of 8 people with 4 images each; `mixed` beats `synthetic` by 5 points everywhere."""
    rng, rows = np.random.default_rng(0), []
    for label in ("A", "B"):
        f1 = 0.7 + rng.uniform(-0.1, 0.1, 32)
        for condition, gain in (("synthetic", 0.0), ("mixed", 0.05)):
            table = pd.DataFrame(
                {"f1": f1 + gain + rng.normal(0, 0.001, 32), "sclera": f1**2, "brightness": rng.random(32)}
            )
            rows.append(table.assign(condition=condition, label=label, dataset=label))
            rows[-1]["image_id"] = [f"{label}/{k}" for k in range(32)]
            rows[-1]["subject"] = [f"{label}:{k // 4}" for k in range(32)]
    table = pd.concat(rows, ignore_index=True).assign(system="unet", seed=1, part="test", blur=1.0, hd95=3.0, empty=0)
    more = dict.fromkeys(
        ["boundary_f_1px", "boundary_f_2px", "brier", "brier_foreground", "ece", "ece_foreground"], 0.5
    )
    return table.assign(run="unet-" + table.condition + "-1", gaze=["l", "r"] * 64, **more)


def test_all_test_sets_come_first_and_hold_more_people(scores):
    table = tables.differences(scores)
    assert table.dataset.tolist() == [tables.ALL_SETS, "A", "B"] and table.subjects.tolist() == [16, 8, 8]
    assert table.change.tolist() == pytest.approx([0.05] * 3, abs=0.001)
    assert table.p[1] == 2 / 2**8  # the smallest that 8 people can show
    found = readings.read_differences(table)
    assert (
        found.startswith("Of 1 pair 1 differ on all test sets") and "unet-mixed against unet-synthetic: +5.0" in found
    )
    assert "nothing to compare" in readings.read_differences(table.iloc[:0])


def test_few_people_are_said_to_be_few(scores):
    few = scores[scores.subject.isin(["A:0", "A:1", "A:2"])]
    assert "with 3 people no test" in readings.read_differences(tables.differences(few))


def test_what_moves_scores_is_told_from_what_does_not(scores):
    table = tables.associations(scores[scores.condition == "mixed"])
    rho = table.set_index(["dataset", "factor"]).rho
    assert rho["A", "share of sclera"] > 0.99 and abs(rho["A", "brightness"]) < 0.5
    assert np.isnan(rho["A", "sharpness"])  # the same for all
    words = readings.read_associations(table)
    assert "A: higher scores go with higher share of sclera" in words and "sharpness" not in words


def test_groups_are_held_against_the_rest_of_their_set(scores):
    """Looks to the left score 20 points worse; skin tone, which moves nothing, halves the people."""
    tone = scores.subject.str[-1].astype(int) * 10.0 - 30
    table = scores.assign(device="", tone=tone, f1=scores.f1 - 0.2 * (scores.gaze == "l"))
    found = tables.groups(table)
    mine = found[(found.run == "unet-mixed-1") & (found.dataset == "A")].set_index(["by", "group"])
    assert mine.difference["gaze", "left"] == pytest.approx(-mine.difference["gaze", "right"])
    assert mine["difference high"]["gaze", "left"] < 0 and mine["p (Holm)"]["gaze", "left"] < 0.05
    halves = mine.loc["skin tone"]
    assert halves.subjects.tolist() == [4, 4] and (halves["p (Holm)"] > 0.05).all()
    dark = table[(table.run == "unet-mixed-1") & (table.label == "A") & (table.tone < tone.median())]
    assert halves.f1["darker half"] == pytest.approx(dark.f1.mean())
    assert "device" not in set(found["by"])  # one camera is no group
    two = tables.groups(table.assign(device=np.where(table.image_id.str[-1] < "5", "phone 1", "phone 2")))
    assert set(two[two["by"] == "device"].group) == {"phone 1", "phone 2"}
    assert "left (gaze)" in readings.read_groups(found, "unet-mixed-1")
    assert "no group" in readings.read_groups(found.iloc[:0], "unet-mixed-1")


def test_calibration_is_compared_with_intervals(scores):
    worse = scores.assign(ece_foreground=0.1 + 0.04 * (scores.condition == "mixed") + 0.01 * scores.brightness)
    row = tables.calibration_differences(worse).iloc[0]
    assert row.low < row.change < row.high and row.change == pytest.approx(4, abs=0.5) and row.subjects == 16


def test_rank_correlation_is_spearmans(scores):
    rows = scores[scores.condition == "mixed"]
    found = rank_correlation(rows, "brightness")
    assert found["rho"] == pytest.approx(rows[["brightness", "f1"]].corr("spearman").iloc[0, 1])
    assert found["low"] < found["rho"] < found["high"]


def test_bold_and_shy_have_opposite_signs(scores):
    probs = np.array([[0.9] * 50, [0.6] * 50])
    truth = np.array([[True] * 25 + [False] * 25] * 2)
    runs = dict(zip(["unet-synthetic-1", "unet-mixed-1"], probs, strict=True))
    levels = pd.concat(
        pd.DataFrame(count_levels(p if d == "A" else 1 - p, truth[0]), columns=["pixels", "found", "said"])
        .rename_axis("level")
        .reset_index()
        .assign(run=run, dataset=d, part="test")
        for run, p in runs.items()
        for d in ("A", "B")
    )
    table = tables.calibration(scores, levels).set_index(["run", "dataset"])
    assert table["said - found"].unstack().to_numpy() == pytest.approx(np.array([[0.1, -0.1], [0.4, -0.4]]))
    assert table.pooled.unstack().to_numpy() == pytest.approx(np.array([[0.1, 0.1], [0.4, 0.4]]))
    assert "too bold in 2 of 4 cases and too shy in 2" in readings.read_calibration(table.reset_index())


def test_seeds_are_said_to_be_one_or_read(scores):
    assert "One seed was trained" in readings.read_seeds(tables.seeds(scores))
    two = pd.concat([scores, scores.assign(seed=2, f1=scores.f1 - 0.01)])
    words = readings.read_seeds(tables.seeds(two))
    assert "over 2 seeds" in words and "unet-" in words


def test_people_are_told_apart_by_set(scores):
    table = tables.people(scores)
    assert len(table) == 2 * 2 * 8 and table.images.eq(4).all() and set(table.person) == set("01234567")
    assert table.low.notna().all()
    few = scores[scores.image_id.str[-1].isin(list("01"))]
    assert tables.people(few).query("images < 3").low.isna().all()
    assert "8 people" in readings.read_people(table, "unet-mixed-1")


def test_thresholds_are_read_by_what_they_would_bring():
    sweep = pd.DataFrame({"threshold": [0.25, 0.5, 0.75] * 2, "f1": [0.9, 0.8, 0.1, 0.2, 0.5, 0.505]})
    sweep = sweep.assign(run=["a"] * 3 + ["b"] * 3, dataset="A")
    words = readings.read_thresholds(sweep, 0.5)
    assert "In 1 of 2 cases" in words and "10.0 points, for a on A at 0.25; 1 of the best thresholds lie below" in words


def test_menus_choose_the_images_they_say(scores):
    rows = failures.choose(scores, "unet-mixed-1", failures.ANY, "l", "worst first")
    assert len(rows) and set(rows.run) == {"unet-mixed-1"} and set(rows.gaze) == {"l"}
    assert rows.f1.is_monotonic_increasing
    best = failures.choose(scores, "unet-mixed-1", "B", failures.ANY, "best first")
    assert set(best.label) == {"B"} and len(best) == 32 and best.f1.is_monotonic_decreasing
    assert failures.choose(scores, "unet-mixed-1", "B", "u", "best first").empty
