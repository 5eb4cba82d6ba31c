"""Wrong, misspelt and out-of-range settings and parameters: refused before any kernel starts, with the nearest name."""

import itertools
import subprocess
import sys

import pytest
import toys
import yaml
from pydantic import BaseModel

from cgdseg import paths
from cgdseg.config import Settings, load_config, reading
from cgdseg.paths import ROOT
from cgdseg.report import jobs, runner


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "HOME", tmp_path)
    monkeypatch.setattr(runner, "_papermill", lambda *_: pytest.fail("a kernel was started"))
    (tmp_path / "toy.yaml").write_text(toys.CONFIG)
    return tmp_path


def settings_classes(top: type = Settings) -> list[type[BaseModel]]:
    return [top, *itertools.chain.from_iterable(settings_classes(below) for below in top.__subclasses__())]


def misspelt(name: str) -> list[str]:
    """A letter in the middle lost, doubled or changed round with the next."""
    start, letter, after = name[: len(name) // 2], name[len(name) // 2], name[len(name) // 2 + 1 :]
    return [start + after, start + 2 * letter + after, start + after[:1] + letter + after[1:]]


def test_every_misspelt_setting_is_answered_with_the_right_one(count):
    n, lost = 0, []
    for kind in settings_classes():
        for name in (name for name in kind.model_fields if len(name) > 5):
            for wrong in set(misspelt(name)) - kind.model_fields.keys():
                with pytest.raises(ValueError) as caught:
                    kind.model_validate({wrong: 1})
                n += 1
                if f"there is no setting {wrong}; did you mean {name}?" not in str(caught.value):
                    lost.append((kind.__name__, wrong))
    count("misspelt setting", n, len(lost))
    assert not lost and n > 100


WRONG = [
    ({"training": {"epochs": 0}}, "training.epochs"),
    ({"training": {"epochs": 2.5}}, "training.epochs"),
    ({"training": {"epochs": "many"}}, "training.epochs"),
    ({"training": {"lr": -1}}, "training.lr"),
    ({"training": {"lr": float("nan")}}, "training.lr"),
    ({"training": {"lr": float("inf")}}, "training.lr"),
    ({"training": {"ema": 1.0}}, "training.ema"),
    ({"training": {"precision": "fp8"}}, "fp16"),
    ({"training": {"augment": "slide"}}, "slides"),
    ({"training": {"batch_size": -8}}, "training.batch_size"),
    ({"training": {"n_threads": 0}}, "training.n_threads"),
    ({"training": {"stream": {"synthetc": 8}}}, "did you mean synthetic"),
    ({"training": None, "trainning": {}}, "did you mean training"),
    ({"splits": {"val_fraction": 1.0}}, "splits.val_fraction"),
    ({"splits": {"protocol": "subjects"}}, "subject"),
    ({"evaluation": {"threshold": 1.5}}, "evaluation.threshold"),
    ({"evaluation": {"size": [300]}}, "evaluation.size"),
    ({"evaluation": {"size": [0, 400]}}, "evaluation.size"),
    ({"seeds": []}, "seeds"),
    ({"seeds": ["a"]}, "seeds"),
    ({"workers": 0}, "workers"),
    ({"systems": {"unet": {"kind": "unnet"}}}, "unet"),
    ({"systems": {"unet": {"kind": "unet", "chanels": [4]}}}, "did you mean channels"),
    ({"systems": {"a/b": {"kind": "unet"}}}, "a/b"),
    ({"systems": None}, "systems"),
    ({"conditions": {"synthetic": ["eyse"]}}, "did you mean eyes"),
    ({"conditions": {"../up": ["eyes"]}}, "../up"),
    ({"datasets": {"eyes": {"layout": "syncro", "root": "x", "domain": "real"}}}, "syncroi"),
    ({"datasets": {"eyes": {"layout": "plain", "root": "x", "domain": "fake"}}}, "synthetic"),
    ({"datasets": {"eyes": {"colours": {"sclera": [300, 0, 0]}}}}, "255"),
    ({"datasets": {"eyes": {"colours": {"skin": [0, 0, 0]}}}}, "sclera"),
    ({"datasets": {"eyes": {"stand_in": {"look": "syncro", "n_images": 4}}}}, "did you mean syncroi"),
    ({"datasets": {"eyes": {"stand_in": {"look": "syncroi", "n_images": 0}}}}, "n_images"),
    ({"datasets": {"eyes": {"stand_in": {"look": "masd", "n_images": 4, "factors": {"blurr": 1}}}}}, "blurr"),
    ({"datasets": {"eyes": {"stand_in": {"look": "masd", "n_images": 4, "factors": {"blur": [9, 1]}}}}}, "blur"),
]


@pytest.mark.parametrize(("changes", "words"), WRONG, ids=[str(changes)[:60] for changes, _ in WRONG])
def test_a_wrong_config_is_refused(home, changes, words, count):
    path = toys.write_notebook(home / "notebooks/04_evaluation.ipynb")
    settings = reading._merge(yaml.safe_load(toys.CONFIG), changes)
    (home / "bad.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(ValueError) as caught:
        runner.run_notebook(jobs.make_job(path, home / "bad.yaml"))
    assert words in str(caught.value)
    count("wrong setting", 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seeds: [1]\nseeds: [2]", "given twice"),
        ("training: {lr: 1, lr: 2}", "given twice"),
        ("a: &x [*x]", "alias"),
        ("1: 2", "no text"),
        ("? [a, b]\n: 1", "no text"),
        ("extends: loop.yaml", "extends itself"),
        ("extends: nowhere", "no config"),
        ("!!python/object/apply:os.system [id]", "not YAML"),
        ("[1, 2]", "key: value"),
        ("\x00", "not YAML"),
        ("a: [1", "not YAML"),
        ("d: 2026-99-99", "not YAML"),
        (b"\xff\xfe", "not YAML"),
    ],
)
def test_a_file_that_is_no_config_is_refused(home, text, words, count):
    (home / "loop.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises((ValueError, FileNotFoundError), match=words) as caught:
        load_config(home / "loop.yaml")
    assert "loop.yaml" in str(caught.value) or "nowhere" in str(caught.value)
    count("wrong setting", 1)


RUN = {"SYSTEM": "unet", "CONDITION": "synthetic", "SEED": 1, "EYE": 0, "RATE": 0.5}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"SYTEM": "unet"}, "did you mean SYSTEM"),
        ({"system": "unet"}, "did you mean SYSTEM"),
        ({"SYSTEM": "unnet"}, "no system unnet; did you mean unet"),
        ({"CONDITION": "synthetc"}, "did you mean synthetic"),
        ({"SEED": 3}, "did you mean unet-synthetic"),
        ({"SEED": "1.0"}, "SEED must be int"),
        ({"SEED": "-1"}, "give a number from 0"),
        ({"EYE": "-1"}, "give a number from 0"),
        ({"EYE": "2"}, "has 2 rows: give 0 to 1"),
        ({"RATE": "nan"}, "RATE is nan"),
        ({"RATE": "inf"}, "RATE is inf"),
        ({"RATE": "-0.1"}, "give a number from 0"),
        ({"RATE": "1,5"}, "RATE must be float"),
    ],
)
def test_a_wrong_parameter_is_refused(home, given, words, count):
    path = toys.write_notebook(home / "notebooks/03_training.ipynb", parameters=RUN)
    paths.manifest_csv("toy").parent.mkdir(parents=True)
    paths.manifest_csv("toy").write_text('image_id\n"a\nb"\nc\n')
    with pytest.raises(ValueError, match=words):
        runner.run_notebook(jobs.make_job(path, home / "toy.yaml", given))
    count("wrong parameter", 1)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "03_trainin"], "did you mean 03_training"),
        (["run", "03_training", "--config", "smok"], "did you mean smoke"),
        (["run", "03_training", "--confg", "smoke"], "--config"),
        (["run", "03_training", "--minutes", "-1"], "--minutes"),
        (["run", "03_training", "-p", "SEED"], "NAME=VALUE"),
        (["reports", "smoke", "--cores", "-2"], "--cores"),
        (["reports", "smoke", "--dry-rum"], "unrecognized arguments"),
        (["reprots"], "reports"),
        (["train", "--config", "smoke", "--system", "cgdsge"], "did you mean cgdseg"),
    ],
)
def test_the_command_line_refuses_in_one_line(tmp_path, words, said, count):
    command = [sys.executable, "-m", "cgdseg.cli", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode and said in done.stderr and "Traceback" not in done.stderr
    count("wrong parameter", 1)
