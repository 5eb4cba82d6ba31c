"""Every script of benchmarks/ runs, and the studies of transfer.py vary what they say, one thing at a time."""

import importlib.util
import json
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch
from accelerate.state import AcceleratorState

from cgdseg import paths
from cgdseg.data.standins import stand_in_factors
from cgdseg.eyes.factors import GROUPS
from cgdseg.eyes.looks import LOOKS
from cgdseg.figures.measured import cost_curves
from cgdseg.hashes import digest
from cgdseg.models.inspect import cost_table, parameter_counts
from cgdseg.models.layers import UPSAMPLERS
from cgdseg.models.registry import build_system
from cgdseg.studies.anatomy import measured
from cgdseg.training.losses import dice_bce

FOLDER = paths.ROOT / "benchmarks"
TINY = {  # script -> words that make it small
    "render": "--eyes 1",
    "predict": "--rounds 1",
    "train_step": "--batch 2 --side 28 --rounds 1 --compile",
    "inference": "--batch 1 --side 28 --rounds 1 --compile",
    "input_pipeline": "--files 2 --images 3 --workers 2",
    "scorer": "--images 1 --rounds 1",
    "cost": "--batches --sides 28",
    "peers": "--batch 2",
    "forms": "--eyes 2",
    "transfer": "systems --eyes 16 --seeds 1 --workers 1",
}
PARTS = {"measure", "slides"}  # what the scripts share


def in_this_process(n, context):
    """In place of processes of their own, each of which imports torch; input_pipeline.py starts real ones."""
    return ThreadPoolExecutor(n)


@pytest.fixture
def script(monkeypatch):
    """script(name) -> a fresh module of that name, as when it is called by itself."""
    monkeypatch.syspath_prepend(FOLDER)
    for name in [*TINY, *PARTS]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module


@pytest.fixture(scope="module")
def transfer():
    spec = importlib.util.spec_from_file_location("transfer", FOLDER / "transfer.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_script_is_run():
    assert {path.stem for path in FOLDER.glob("*.py")} == {*TINY, *PARTS}


@pytest.fixture
def run(script, home, monkeypatch, capsys):
    """run(name, option) -> the path that a script was told to write to."""
    monkeypatch.setattr(torch, "compile", lambda model, **how: model)  # minutes; test_predict.py compiles
    monkeypatch.setattr(script("measure"), "ProcessPoolExecutor", in_this_process)
    threads = torch.get_num_threads()

    def main(name, option, target):
        module = script(name)
        if name == "transfer":
            monkeypatch.setattr(module, "ProcessPoolExecutor", in_this_process)
            monkeypatch.setitem(module.STUDIES, "systems", {"unet": module.SMALL_UNET, "cgdseg": module.small_cgdseg()})
        monkeypatch.setattr(sys, "argv", [name, *shlex.split(TINY[name]), option, str(target)])
        module.main()
        assert capsys.readouterr().out
        return target

    yield main
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", sorted({*TINY} - {"cost", "transfer"}))
def test_a_measurement_has_what_the_committed_one_has(name, run, home):
    found = json.loads(run(name, "--json", home / "out.json").read_text())
    assert set(found) == set(json.loads((paths.RESULTS / f"{name}.json").read_text()))


def test_the_curves_have_what_the_committed_ones_have(run, home):
    found, committed = pd.read_csv(run("cost", "--csv", home / "cost.csv")), pd.read_csv(paths.RESULTS / "cost.csv")
    assert list(found) == list(committed) and len(found) == 4 and (found.ms > 0).all() and (found.MiB > 0).all()


def test_a_study_runs(run, home, monkeypatch):
    monkeypatch.setattr(AcceleratorState, "_shared_state", {})  # in bf16; other tests of this process are not
    found = pd.read_csv(run("transfer", "--results", home) / "transfer-systems.csv")
    assert list(found) == list(pd.read_csv(paths.RESULTS / "transfer-systems.csv"))
    assert set(found.variant) == {"unet", "cgdseg"} and set(found.set) == {"rendered"} and found.f1.notna().all()


def test_the_slides_code_gives_the_same_numbers(script, tiny_cgdseg):
    slides = script("slides")
    torch.manual_seed(0)
    ours = build_system(tiny_cgdseg)
    theirs = slides.as_written(ours)
    assert type(theirs.pyramid) is slides.EnlargedFirst and type(theirs.grounding) is slides.FullAttention
    images = torch.rand(2, 3, *tiny_cgdseg.input_size)
    masks = (torch.rand(2, 1, *tiny_cgdseg.input_size) < 0.2).float()
    losses = [dice_bce(model(images), masks) for model in (ours, theirs)]
    assert losses[0].item() == pytest.approx(losses[1].item(), abs=1e-6)
    for loss in losses:
        loss.backward()
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert mine.grad is None or torch.allclose(mine.grad, other.grad, atol=1e-5), name


def test_measured_results_have_tables():
    for name in ("train_step", "inference"):
        table = measured.side_forms(name)
        assert table.form[0] == "the slides' code" and table["times faster"][0] == 1
        assert set(table.form) <= set(measured.CODE_FORMS.values()) and measured.measured(name)["machine"]
    assert {row["peer"] for row in measured.peers().to_dict("records")} >= {"cgdseg", "unet_8M", "segformer_b0"}
    assert "times faster" in set(measured.input_pipeline().quantity)
    figure = cost_curves(pd.read_csv(paths.RESULTS / "cost.csv"))
    highest = [{line.get_color(): line.get_ydata().max() for line in axis.lines[:4]} for axis in figure.axes]
    slower = {max(colours, key=colours.get) for colours in highest if len(colours) > 1}
    assert len(slower) == 1  # one colour is one form's in every panel
    plt.close(figure)


def test_each_dataset_holds_one_group_of_factors_still(transfer):
    cfg = transfer.study("factors", eyes=80, seeds=2)
    assert stand_in_factors(cfg.datasets["everything"].stand_in) == LOOKS["randomised"]
    for group in GROUPS:
        assert stand_in_factors(cfg.datasets[f"no_{group}"].stand_in) == LOOKS["randomised"].without(group)
    assert len(cfg.runs()) == 2 * (len(GROUPS) + 1) and {cfg.streamed(run) for run in cfg.runs()} == {10}


def test_eyes_apart_from_a_target_have_none_of_its_ranges(transfer):
    cfg = transfer.study("circular", eyes=80, seeds=1)
    assert set(cfg.conditions) == {"everything", "apart_from_masd", "apart_from_sbvpi", "syncroi"}
    for target in transfer.TARGETS:
        look = stand_in_factors(cfg.datasets[f"apart_from_{target}"].stand_in)
        assert look.spread == (1, 1)
        for name, (low, high) in ((name, ends) for name, ends in LOOKS[target] if isinstance(ends, tuple)):
            own, wide = getattr(look, name), getattr(LOOKS["randomised"], name)
            if name != "spread" and (low, high) != wide:
                assert own[1] <= low or high <= own[0], name
                assert wide[0] <= own[0] < own[1] <= wide[1]


def test_the_narrow_decoder_has_less_than_a_tenth_of_the_operations(transfer):
    def operations(name: str) -> float:
        cost = cost_table(build_system(transfer.STUDIES["peers"][name]), torch.rand(1, 3, *transfer.SIZE), repeats=1)
        return cost.set_index("part").GFLOP[["pyramid", "decoder", "head"]].sum()

    assert operations("narrow_decoder") < 0.1 * operations("cgdseg")


def test_the_upsampling_study_changes_the_upsampling_alone(transfer):
    systems = transfer.study("upsampling", eyes=80, seeds=1).systems
    segnet = systems.pop("segnet")
    assert {system.upsample for system in systems.values()} == set(UPSAMPLERS)
    assert len({digest(system.model_copy(update={"upsample": "nearest"})) for system in systems.values()}) == 1
    sizes = [parameter_counts(system)["total"] for system in (segnet, transfer.SMALL_UNET)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.15)


def test_the_committed_studies_hold_every_variant_and_seed(transfer):
    committed = {path.stem.removeprefix("transfer-"): path for path in paths.RESULTS.glob("transfer-*.csv")}
    assert {"factors", "systems"} <= set(committed) <= set(transfer.STUDIES)
    for name, path in committed.items():
        table, variants = pd.read_csv(path), len(transfer.STUDIES[name]) + len(transfer.looks_of(name)) - 1
        seeds = table.groupby("variant").seed.nunique()
        assert len(seeds) == variants and seeds.nunique() == 1 and seeds.min() >= 3
        assert table[table.set == "photos"].groupby(["variant", "seed"]).size().eq(8).all()
