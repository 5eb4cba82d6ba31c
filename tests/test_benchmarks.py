"""The studies of benchmarks/transfer.py vary what they say, one thing at a time."""

import importlib.util

import pandas as pd
import pytest

from cgdseg import paths
from cgdseg.data.standins import stand_in_factors
from cgdseg.eyes import GROUPS, LOOKS


@pytest.fixture(scope="module")
def transfer():
    spec = importlib.util.spec_from_file_location("transfer", paths.ROOT / "benchmarks" / "transfer.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_dataset_holds_one_group_of_factors_still(transfer):
    cfg = transfer.study("factors", eyes=80, seeds=2)
    assert stand_in_factors(cfg.datasets["everything"].stand_in) == LOOKS["randomised"]
    for group in GROUPS:
        assert stand_in_factors(cfg.datasets[f"no_{group}"].stand_in) == LOOKS["randomised"].without(group)
    assert len(cfg.runs()) == 2 * (len(GROUPS) + 1) and {cfg.streamed(run) for run in cfg.runs()} == {10}


def test_the_committed_studies_hold_every_variant_and_seed(transfer):
    for name, variants in (("factors", len(GROUPS) + 1), ("systems", len(transfer.SYSTEMS))):
        table = pd.read_csv(paths.RESULTS / f"transfer-{name}.csv")
        assert table.groupby("variant").seed.nunique().tolist() == [3] * variants
        assert table[table.set == "photos"].groupby(["variant", "seed"]).size().eq(8).all()
