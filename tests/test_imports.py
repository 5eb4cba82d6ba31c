"""Imports point only downwards, and the code digest sees what matters and nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cgdseg.hashes import closure, code_digest, imported
from cgdseg.paths import LIB

# The rooms of the house from the ground up; a module imports only from rooms before its own, or from its own.
ROOMS = ["eyes", "config", "data", "scoring", "models", "folders", "training", "studies", "figures", "report", "cli"]
RANKS = {room: rank for rank, room in enumerate(ROOMS, 1)}  # 0: the root, which knows no room
LOOSE = 6  # modules at the root, at most
FILES = sorted(LIB.glob("cgdseg/**/*.py"))


def module(path: Path) -> str:
    return ".".join(path.relative_to(LIB).with_suffix("").parts).removesuffix(".__init__")


def room(path: Path) -> str:
    """The room of a file; "" for the root."""
    names = path.relative_to(LIB / "cgdseg").parts
    return names[0] if len(names) > 1 else ""


def rank(path: Path) -> int:
    assert room(path) in {"", *RANKS}, f"{module(path)} opens a room: put it into one of {', '.join(ROOMS)}"
    return RANKS.get(room(path), 0)


def test_the_hallway_is_empty():
    loose = [path.stem for path in FILES if not room(path) and path.stem != "__init__"]
    assert len(loose) <= LOOSE, f"{', '.join(loose)} lie at the root: each belongs into a room"


@pytest.mark.parametrize("path", FILES, ids=module)
def test_imports_point_downwards(path):
    upwards = [module(other) for other in imported(path) if rank(other) > rank(path)]
    assert not upwards, f"{module(path)} imports from above itself: {', '.join(upwards)}"


HANDED_ON = LIB / "cgdseg/config/__init__.py"  # names of the room's modules, which all of them load first


@pytest.mark.parametrize("path", [path for path in FILES if path.name != "__init__.py"], ids=module)
def test_no_circle(path):
    others = {other for other in imported(path) if other != path and other.name != "__init__.py"}
    circles = [module(other) for other in others if path in reached(other)]
    assert not circles, f"{module(path)} and {', '.join(circles)} import each other"


def reached(path: Path) -> set[Path]:
    """What a module imports, directly or not, itself included."""
    found, queue = {path}, [path]
    while queue:
        queue += (new := imported(queue.pop()) - found - {HANDED_ON})
        found |= new
    return found


def test_only_notebooks_keep_ledgers():
    """The library computes; what is kept is decided in a notebook."""
    users = {room(path) for path in FILES if LIB / "cgdseg/report/outputs.py" in imported(path)}
    assert users <= {"report", "cli"}


def test_the_command_line_and_the_runner_start_without_what_is_heavy():
    """They start once for every notebook of a config."""
    heavy = "{'cv2', 'matplotlib', 'numpy', 'pandas', 'torch'} & set(sys.modules)"
    code = f"import sys, cgdseg.cli, cgdseg.report.runner; sys.exit(', '.join({heavy}) or 0)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(LIB)}
    )
    assert done.returncode == 0, done.stderr


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
