"""A model's parts in numbers: parameters without a download, cost that adds up."""

import json

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

from cgdseg.cli.shared import app
from cgdseg.config import SYSTEMS, systems
from cgdseg.models.inspect import cost_table, parameter_counts
from cgdseg.models.registry import build_system


@pytest.mark.parametrize("kind", SYSTEMS)
def test_cost_by_part_adds_up_to_the_whole(kind, tiny_systems):
    model = build_system(tiny_systems[kind])
    images = torch.rand(1, 3, *tiny_systems[kind].input_size)
    table = cost_table(model, images, repeats=1)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(images)
    assert table.GFLOP.sum() == pytest.approx(counter.get_total_flops() / 1e9, rel=1e-6)
    assert (table.ms > 0).all()


def test_parameters_are_counted_without_a_download(tmp_path):
    done = CliRunner().invoke(app, ["parameters", "--config", "ssbc2026", "--json", str(tmp_path / "counts.json")])
    assert done.exit_code == 0, done.output
    counts = json.loads((tmp_path / "counts.json").read_text())
    assert (counts["trainable"], counts["total"], counts["lora"]) == (3_185_316, 88_268_324, 147_456)
    assert sum(counts.values()) == counts["trainable"] + 2 * counts["total"]
    assert "has no system x" in CliRunner().invoke(app, ["parameters", "--system", "x"]).output
    strange = systems.CGDSeg(backbone={"source": "someone/else"})
    with pytest.raises(ValueError, match="someone/else is not known without a download"):
        parameter_counts(strange)
