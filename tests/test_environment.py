"""The generated files follow from pyproject.toml, and the lock satisfies it."""

import importlib.util
import re
import subprocess
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cgdseg import paths
from cgdseg.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
PINS = dict(line.split("==") for line in LOCK.splitlines() if not line.startswith("#"))


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f".ci/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_files_are_up_to_date():
    assert (ROOT / "environment.yml").read_text() == script("lock").environment(PROJECT), "run make lock"
    freeze = "\n".join(f"{name}=={version}" for name, version in PINS.items())
    assert script("lock").lock(freeze) == LOCK, "run make lock"


def test_lock_satisfies_every_requirement():
    pins = {canonicalize_name(name): version for name, version in PINS.items()}
    asked = [Requirement(text) for text in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]]
    unmet = [str(need) for need in asked if pins.get(canonicalize_name(need.name), "0") not in need.specifier]
    assert not unmet, f"requirements.lock does not satisfy {unmet}: run make lock"


def test_lock_fits_any_machine():
    assert all(re.fullmatch(r"[\w.]+", version) for version in PINS.values()), "local builds have no place in the lock"
    assert not re.search(r"file:|://|^-|@", LOCK, flags=re.M)
    assert "torch" in PINS and not any(name.startswith(("nvidia", "triton", "torchvision")) for name in PINS)


def test_generator_drops_what_belongs_to_one_machine():
    freeze = "torch==2.13.0+cpu\n-e /somewhere\n# a comment\nB==1\na==2\nx @ file:///tmp/x.whl\ncgdseg==0.1.0\n"
    assert script("lock").lock(freeze).splitlines()[1:] == ["a==2", "B==1", "torch==2.13.0"]


def test_large_files_are_refused_but_for_the_model_that_ships(tmp_path):
    guard = script("large_files")
    large, small = tmp_path / "eyes.npy", tmp_path / "code.py"
    large.write_bytes(bytes(guard.LIMIT + 1))
    small.write_text("1")
    (problem,) = guard.too_large([str(large), str(small), *guard.ALLOWED, "gone.bin"])
    assert str(large) in problem and "keep it out" in problem


def test_the_drawing_of_the_library_is_of_today():
    architecture = script("architecture")
    assert architecture.stamp(architecture.graph()) in architecture.TARGET.read_text(), "run python .ci/architecture.py"


def test_hooks_before_a_commit_run_what_the_environment_has():
    (hooks,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    words = [hook["entry"].split() for hook in hooks["hooks"]]
    assert all(program.startswith(".venv/bin/") for program, *_ in words)
    assert all((ROOT / word).is_file() for _, *rest in words for word in rest if word.endswith(".py"))


def test_what_runs_write_is_not_stored():
    """Else every table would say that its code has uncommitted changes."""
    made = [
        paths.run_dir("x"),
        paths.encoder_dir("x"),
        paths.cache_dir("x"),
        paths.rung_csv("x"),
        paths.report_dir("x"),
    ]
    names = [str(path.relative_to(paths.HOME) / "file") for path in made]
    found = subprocess.run(["git", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True)
    if found.returncode == 128:
        pytest.skip("not a git checkout")
    assert found.stdout.split() == names
