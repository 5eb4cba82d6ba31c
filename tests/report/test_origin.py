"""Tables say which config, code and trainings they come from."""

import pandas as pd

from cgdseg.report.origin import STAMP, Origin, stamp, unstamp

ORIGIN = Origin(
    "toy", "0123abcd", "f" * 40 + " with uncommitted changes", {"a-1": "a-1-77", "a-2": "a-2-88"}, {"a-1": 1, "a-2": 2}
)


def test_rows_about_runs_carry_run_id_and_seed():
    table = pd.DataFrame({"run": ["a-2", "release"], "f1": [0.5, 0.6]})
    stamped = stamp(table, ORIGIN)
    assert stamped["run id"].tolist() == ["a-2-88", ""]
    assert stamped["training seed"][0] == 2 and pd.isna(stamped["training seed"][1])
    assert set(stamped["config hash"]) == {"0123abcd"} and list(stamped.columns[-5:]) == STAMP
    plain, words = unstamp(stamped)
    assert plain.equals(table)
    assert words == "config toy 0123abcd · commit ffffffffff with uncommitted changes"


def test_a_table_of_one_training_names_it_in_every_row_and_below():
    origin = Origin(ORIGIN.config, ORIGIN.config_hash, "none", ORIGIN.run_ids, ORIGIN.seeds, run="a-1")
    stamped = stamp(pd.DataFrame({"epoch": [1, 2]}), origin)
    assert set(stamped["run id"]) == {"a-1-77"} and set(stamped["training seed"]) == {1}
    assert origin.words(2) == "a-1-77 · config toy 0123abcd · commit none · seed 1 · 2 rows"
    assert ORIGIN.words(1).endswith("seeds 1, 2 · 1 row")


def test_tables_of_old_are_read_as_they_are():
    table = pd.DataFrame({"f1": [0.5]})
    plain, words = unstamp(table)
    assert plain.equals(table) and words == ""
