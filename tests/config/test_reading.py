"""Configs: what is wrong is refused by name; run ids follow what shapes the weights and nothing else."""

import pytest
import yaml
from tiny_data import save_pair
from typer.testing import CliRunner

from cgdseg.cli.shared import app
from cgdseg.config import load_config, systems
from cgdseg.paths import CONFIGS

ALL = sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def write(path, **settings):
    path.write_text(yaml.safe_dump({"extends": "smoke", **settings}))
    return path


@pytest.mark.parametrize("name", ALL)
def test_every_config_loads_and_has_runs(name):
    cfg = load_config(name)
    assert cfg.name == name and cfg.runs()


def test_ssbc2026_is_the_slides_recipe():
    cfg = load_config("ssbc2026")
    system, training = cfg.systems["cgdseg"], cfg.training
    assert (system.input_size, training.batch_size, training.epochs) == ((256, 256), 32, 70)
    assert (training.lr, training.lora_lr, training.min_lr, training.weight_decay) == (1e-4, 1e-5, 1e-6, 1e-4)
    assert (training.bce_weight, training.dice_weight, training.clip_norm) == (0.4, 0.6, 1.0)
    assert (system.backbone.lora_rank, system.backbone.lora_alpha, cfg.seeds) == (8, 16.0, (42,))
    assert (training.precision, training.augment, cfg.splits.real_repeats) == ("fp16", "slides", 3)
    assert system.backbone.source == "facebook/dinov2-small" and len(system.backbone.revision) == 40


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"epocs": 3}, "epocs"),
        ({"training": {"lr": "fast"}}, "training.lr"),
        ({"training": {"epochs": -1}}, "training.epochs"),
        ({"systems": {"x": {"kind": "vgg"}}}, "systems.x: there is no kind vgg"),
        ({"systems": {"x": {"kind": "unett"}}}, "did you mean unet"),
        ({"datasets": {"SBVPI": {"test_only": True}}}, "trains on SBVPI, which is test_only"),
        ({"datasets": {"SBVPI": {"person": "p1_"}}}, "must have one group"),
        ({"datasets": {"SBVPI": {"person": "(p1)_"}}}, "person is for the layout plain"),
        ({"conditions": {"synthetic": ["Nothing"]}}, "names the dataset Nothing"),
        ({"training": {"stream": {"nothing": 8}}}, "names the condition nothing"),
        ({"splits": {"protocols": {"nothing": "subject"}}}, "splits.protocols names the condition nothing"),
        ({"splits": {"protocols": {"mixed": "random"}}}, "splits.protocols.mixed"),
        ({"gap": {"system": "vgg"}}, "gap.system is vgg"),
        ({"datasets": {"SynCROI": {"test_only": True}}}, "test_only"),
        ({"datasets": {"a/b": {"layout": "plain", "root": "x", "domain": "real"}}}, "a/b"),
        ({"datasets": {"SBVPI": {"masks": "Masks/*.png"}}}, "{stem}"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, settings, words):
    path = write(tmp_path / "mine.yaml", **settings)
    with pytest.raises(ValueError, match=words.replace("{", r"\{")) as error:
        load_config(path)
    assert "mine.yaml" in str(error.value)


def test_a_missing_config_names_those_there_are():
    with pytest.raises(FileNotFoundError, match="smoke"):
        load_config("smoek")


def test_a_file_that_is_not_yaml_is_named(tmp_path):
    (tmp_path / "bad.yaml").write_text("a: [1, 2")
    with pytest.raises(ValueError, match="bad.yaml is not YAML"):
        load_config(tmp_path / "bad.yaml")


def test_a_backslash_in_double_quotes_is_told_apart(tmp_path):
    (tmp_path / "bad.yaml").write_text('name: "^(p\\d+)_"')
    with pytest.raises(ValueError, match="single quotes"):
        load_config(tmp_path / "bad.yaml")


def test_extending_changes_only_what_is_given(tmp_path):
    cfg, base = load_config(write(tmp_path / "mine.yaml", training={"epochs": 9})), load_config("smoke")
    assert cfg.name == "mine" and cfg.training.epochs == 9
    assert cfg.training.batch_size == base.training.batch_size and cfg.datasets == base.datasets
    without = load_config(write(tmp_path / "less.yaml", conditions={"mixed": None}))
    assert list(without.conditions) == ["synthetic", "published"]


def test_a_config_beside_another_is_extended_by_its_name(tmp_path):
    write(tmp_path / "first.yaml", training={"epochs": 9})
    write(tmp_path / "demo.yaml", training={"epochs": 1})  # a bare name is first of all one in configs/
    (tmp_path / "other.yaml").write_text("extends: demo\n")
    assert load_config(tmp_path / "other.yaml").training.epochs == load_config("demo").training.epochs
    for name in ("first", "first.yaml"):
        (tmp_path / "second.yaml").write_text(f"extends: {name}\nseeds: [1]\n")
        assert load_config(tmp_path / "second.yaml").training.epochs == 9


def test_run_ids_follow_the_recipe(tmp_path):
    base = load_config("smoke")
    run = base.runs()[0]
    same = load_config(write(tmp_path / "a.yaml", evaluation={"threshold": 0.4}, seeds=[42, 43]))
    photos = {"Photos": {"layout": "plain", "root": "x", "domain": "real", "test_only": True}}
    more = load_config(write(tmp_path / "b.yaml", datasets=photos))
    other = load_config(write(tmp_path / "c.yaml", training={"lr": 0.1}))
    assert base.run_id(run) == same.run_id(run) == more.run_id(run) != other.run_id(run)


def test_a_condition_may_have_a_protocol_of_its_own(tmp_path):
    base = load_config("smoke")
    assert [base.protocol(name) for name in base.conditions] == ["subject", "subject", "published"]
    plain = load_config(write(tmp_path / "a.yaml", splits={"protocols": {"published": None}}))
    turned = load_config(write(tmp_path / "b.yaml", splits={"protocol": "published"}))
    assert plain.protocol("published") == "subject" and turned.protocol("mixed") == "published"
    for run in base.runs():
        own = run.condition == "published"
        assert (plain.run_id(run) != base.run_id(run)) == own  # one condition's protocol renames no other's runs
        assert (turned.run_id(run) == base.run_id(run)) == own  # the same protocol, however it is said


def test_an_unknown_run_lists_the_known():
    with pytest.raises(ValueError, match="cgdseg_scratch-mixed-42"):
        load_config("smoke").run("cgdseg_scratch", "real", 42)


def test_stand_ins_are_labelled():
    cfg = load_config("smoke")
    assert cfg.label("MASD") == "MASD stand-in"
    assert load_config("ssbc2026").label("MASD") == "MASD"
    assert isinstance(cfg.systems["cgdseg_scratch"], systems.CGDSeg)


def test_the_command_line_judges_configs(tmp_path):
    good = CliRunner().invoke(app, ["config", "smoke", "--full"])
    assert (
        good.exit_code == 0
        and yaml.safe_load(good.output)["training"]["epochs"] == load_config("smoke").training.epochs
    )
    said = CliRunner().invoke(app, ["config", "smoke"]).output
    assert "cgdseg_scratch-mixed-42" in said and "MASD: trained on by mixed, published and tested; 16 eyes" in said
    photos = {name: {"layout": "plain", "root": str(tmp_path / name), "domain": "real"} for name in ("Gone", "Here")}
    for i in range(2):
        save_pair(tmp_path / f"Here/Images/p{i}.jpg", tmp_path / f"Here/Masks/p{i}.png", seed=i)
    said = CliRunner().invoke(app, ["config", str(write(tmp_path / "own.yaml", datasets=photos))]).output
    assert f"Gone: tested; NO FOLDER {tmp_path}" in said
    assert "Here: tested; 2 images with a mask of 2 people" in said and "counts each of 2 images" in said
    (tmp_path / "bad.yaml").write_text("extends: smoke\nepoch: 3\n")
    bad = CliRunner().invoke(app, ["config", "smoke", str(tmp_path / "bad.yaml")])
    assert bad.exit_code == 1 and "epoch" in bad.output


def test_a_cgdseg_says_what_is_not_the_slides():
    assert load_config("ssbc2026").departures() == ""
    said = load_config("demo").departures()
    assert said.startswith("cgdseg_scratch is not the slides' CGDSeg") and "unet" not in said
    for words in ("3 blocks from random weights", "without LoRA", "trained on rendered eyes", "a skip of 12 channels"):
        assert words in said
    frozen = systems.CGDSeg(backbone={"tuning": "frozen"}, grounding="bias", text={"source": "random"})
    assert frozen.departures() == ["nothing of it learns", "random vectors for a text", "the grounding `bias`"]
