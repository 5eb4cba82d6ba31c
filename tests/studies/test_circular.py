"""Whether a training has seen the ranges it is tested on, and what is left when it has not."""

import numpy as np
import pandas as pd
import pytest

from cgdseg.config import load_config
from cgdseg.studies.gap import circular


def test_ranges_that_a_training_has_seen_are_counted():
    shared = circular.shared_ranges(load_config("demo")).set_index(["condition", "dataset"])
    seen = shared.loc["randomised"]
    assert (seen.inside / seen.ranges > 0.9).all() and set(seen.index) == {"MASD stand-in", "SBVPI stand-in"}
    narrow = shared.loc["synthetic"]
    assert (narrow.inside / narrow.ranges < 0.2).all()
    assert "mixed" not in shared.index.unique("condition")  # it trains on the target itself
    text = circular.read_shared(shared.reset_index())
    assert "randomised has seen 36 of the 38" in text and "synthetic has" not in text
    assert circular.read_shared(shared.reset_index().iloc[:0]) == ""
    assert circular.shared_ranges(load_config("ssbc2026")).empty


def test_what_is_left_apart_from_the_target_is_the_change_to_everything():
    variants = {"everything": 0.8, "syncroi": 0.5, "apart from masd": 0.4, "apart from sbvpi": 0.6}
    keys = pd.MultiIndex.from_product([variants, [1, 2, 3], ["masd", "sbvpi", "rendered"], range(8)])
    rows = keys.to_frame(index=False, name=["variant", "seed", "set", "image"])
    rows["image"] = rows.set + rows.image.astype(str)
    rows["f1"] = rows.variant.map(variants) + np.random.default_rng(0).normal(0, 0.01, len(rows))
    table = circular.apart(rows).set_index("target")
    assert table.change.tolist() == pytest.approx([-0.4, -0.2], abs=0.01)
    assert (table.low < table.change).all() and (table.change < table.high).all() and (table.high < 0).all()
    assert table.images.tolist() == [8, 8] and table.seeds.tolist() == [3, 3]
    words = circular.read_apart(table.reset_index())
    assert "worse than one clean look in 1 of 2" in words and "-40." in words or "-39." in words
