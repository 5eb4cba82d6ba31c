"""Imports point only downwards, and the code digest sees what matters and nothing else."""

import json
from pathlib import Path

import pytest

from cgdseg.imports import closure, code_digest, imported
from cgdseg.paths import LIB

# From the ground up; a module imports only from lines above its own, or from its own line.
ORDER = [
    "cgdseg",
    "cgdseg.eyes",
    "cgdseg.paths cgdseg.architectures cgdseg.datasets cgdseg.memory cgdseg.live",
    "cgdseg.config cgdseg.claims",
    "cgdseg.files cgdseg.imports cgdseg.pictures cgdseg.provenance cgdseg.markup",
    "cgdseg.outputs cgdseg.data",
    "cgdseg.checkpoints cgdseg.baselines cgdseg.calibration cgdseg.folders",
    "cgdseg.layers cgdseg.phrases cgdseg.losses cgdseg.metrics cgdseg.boundaries cgdseg.statistics cgdseg.readings",
    "cgdseg.pretraining cgdseg.encoders cgdseg.grounding",
    "cgdseg.systems cgdseg.progress cgdseg.artefacts",
    "cgdseg.training",
    "cgdseg.inference cgdseg.scoring cgdseg.ssbc cgdseg.rehearsal",
    "cgdseg.evaluation cgdseg.leakage cgdseg.tables cgdseg.score_tables",
    "cgdseg.gap cgdseg.cards",
    "cgdseg.release cgdseg.submission",
    "cgdseg.checks cgdseg.comparison",
    "cgdseg.plots",
    "cgdseg.browser",
    "cgdseg.jobs",
    "cgdseg.notebooks",
    "cgdseg.report",
    "cgdseg.site",
    "cgdseg.cli",
]
RANKS = {name: rank for rank, names in enumerate(ORDER) for name in names.split()}
FILES = sorted(LIB.glob("cgdseg/**/*.py"))


def module(path: Path) -> str:
    return ".".join(path.relative_to(LIB).with_suffix("").parts).removesuffix(".__init__")


def rank(path: Path) -> int:
    top = ".".join(module(path).split(".")[:2])
    assert top in RANKS, f"{top} has no place in the order of modules: add it to ORDER in {Path(__file__).name}"
    return RANKS[top]


@pytest.mark.parametrize("path", FILES, ids=module)
def test_imports_point_downwards(path):
    upwards = [module(other) for other in imported(path) if rank(other) > rank(path)]
    assert not upwards, f"{module(path)} imports from above itself: {', '.join(upwards)}"


@pytest.mark.parametrize("path", [path for path in FILES if path.name != "__init__.py"], ids=module)
def test_no_circle(path):
    others = {other for other in imported(path) if other != path and other.name != "__init__.py"}
    circles = [module(other) for other in others if path in closure(other)]
    assert not circles, f"{module(path)} and {', '.join(circles)} import each other"


def test_only_notebooks_keep_ledgers():
    """The library computes; what is kept is decided in a notebook."""
    users = {".".join(module(path).split(".")[:2]) for path in FILES if LIB / "cgdseg/outputs.py" in imported(path)}
    assert users <= {"cgdseg.jobs", "cgdseg.notebooks", "cgdseg.report", "cgdseg.site", "cgdseg.cli"}


@pytest.fixture
def toy(tmp_path):
    package = tmp_path / "cgdseg"
    (package / "deep").mkdir(parents=True)
    files = {
        "__init__.py": "",
        "low.py": '"""Low."""\nX = 1  # one\n',
        "lazy.py": "",
        "alone.py": "",
        "deep/__init__.py": "from . import part\n",
        "deep/part.py": "from ..low import X\n",
        "high.py": 'from cgdseg.deep import part\n\n\ndef f():\n    """Say."""\n    import cgdseg.lazy\n',
    }
    for name, text in files.items():
        (package / name).write_text(text)
    return tmp_path


def names(files):
    return [module_path.stem if module_path.stem != "__init__" else module_path.parent.name for module_path in files]


def test_closure_follows_functions_packages_and_notebooks(toy, tmp_path_factory):
    expected = ["cgdseg", "deep", "part", "high", "lazy", "low"]
    assert names(closure("cgdseg.high", toy)) == expected
    cells = [
        {"cell_type": "markdown", "source": "import cgdseg.alone"},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "!ls\n", "from cgdseg.high import f"]},
    ]
    notebook = tmp_path_factory.mktemp("notebooks") / "01_toy.ipynb"
    notebook.write_text(json.dumps({"cells": cells}))
    assert names(closure(notebook, toy)) == expected
    with pytest.raises(FileNotFoundError, match="cgdseg.nowhere"):
        closure("cgdseg.nowhere", toy)


def test_digest_ignores_words_and_sees_code(toy):
    before = code_digest(["cgdseg.high"], toy)
    low = toy / "cgdseg/low.py"
    low.write_text('"""Another docstring."""\n\nX = (\n    1\n)  # another comment\n')
    (toy / "cgdseg/alone.py").write_text("Y = 2\n")
    assert code_digest(["cgdseg.high"], toy) == before
    low.write_text("X = 2\n")
    assert code_digest(["cgdseg.high"], toy) != before
