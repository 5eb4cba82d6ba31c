"""House style of the notebooks: thin, readable, stored clean."""

import ast
import json
import re

import pytest

from cgdseg import paths
from cgdseg.paths import NOTEBOOKS
from cgdseg.report import jobs, notebooks

FILES = sorted(NOTEBOOKS.glob("*.ipynb"))
ABSOLUTE = re.compile(r"""(?:^|[\s"'(=`])(?:/(?:home|root|tmp|Users|mnt|work|opt|usr|var)/|[A-Z]:\\)""", flags=re.M)

each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def text(cell):
    return "".join(cell["source"])


def code(path):
    return [cell for cell in jobs.cells(path) if cell["cell_type"] == "code"]


def test_numbered_without_gaps():
    if not FILES:
        pytest.skip("no notebooks yet")
    assert [path.stem[:3] for path in FILES] == [f"{number:02}_" for number in range(1, len(FILES) + 1)]


@each
def test_opens_with_its_contract(path):
    first = jobs.cells(path)[0]
    assert first["cell_type"] == "markdown" and text(first).startswith("# ")
    missing = [word for word in ("Question", "Reads", "Writes", "Time") if f"**{word}" not in text(first)]
    assert not missing, f"the first cell of {path.name} lacks **{missing}**"


@each
def test_has_one_title(path):
    """Pages have one <h1>, and levels of headings are not skipped."""
    prose = "\n".join(text(cell) for cell in jobs.cells(path) if cell["cell_type"] == "markdown")
    levels = [len(marks) for marks in re.findall(r"^(#+) ", prose, flags=re.M)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))


@each
def test_parameters_are_bare_upper_case_literals(path):
    names = jobs.declared(path)  # exactly one cell, literals only
    assert "CONFIG" in names and all(re.fullmatch(r"[A-Z][A-Z0-9_]*", name) for name in names)
    assert all(type(value) in (str, int, float, bool) for value in names.values())


@each
def test_is_stored_without_outputs(path):
    assert not [cell for cell in code(path) if cell["outputs"] or cell["execution_count"] is not None]


@each
def test_holds_no_machinery(path):
    """Functions and classes live in lib/; so does the loop over epochs."""
    for cell in code(path):
        lines = [line for line in text(cell).splitlines() if not line.startswith(("%", "!"))]
        assert len(lines) <= 25, f"a cell of {path.name} has {len(lines)} lines: {lines[0]}"
        nodes = list(ast.walk(ast.parse("\n".join(lines))))
        assert not [n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
        loops = [node for node in nodes if isinstance(node, ast.For | ast.While)]
        assert not [loop for loop in loops if "epoch" in ast.unparse(loop).lower()]


@each
def test_curves_lead_to_their_numbers(path):
    """A page links each drawn curve to a table; pictures of eyes have no numbers behind them."""
    calls = [node for cell in code(path) for node in ast.walk(ast.parse(text(cell))) if isinstance(node, ast.Call)]
    figures = [call for call in calls if ast.unparse(call.func) == "out.figure"]
    drawn = [{keyword.arg: keyword.value for keyword in call.keywords} for call in figures]
    assert not [ast.unparse(words["caption"]) for words in drawn if not words.keys() & {"svg", "data"}]


@each
def test_names_no_machine(path):
    found = [text(cell) for cell in jobs.cells(path) if ABSOLUTE.search(text(cell))]
    assert not found, f"{path.name} holds an absolute path: {found}"


@each
def test_kernel_is_python3(path):
    assert json.loads(path.read_text())["metadata"]["kernelspec"]["name"] == "python3"


@each
def test_ends_by_proving_something(path):
    last = text(code(path)[-1])
    assert re.search(r"^assert ", last, flags=re.M) and "out.finish()" in last


def test_every_notebook_says_what_it_reads():
    """Declared once: its rule, its place on the index and what makes it run again follow from SERIES."""
    unsaid = {path.stem for path in FILES} ^ set(notebooks.SERIES)
    assert not unsaid, f"{unsaid}: SERIES in lib/cgdseg/report/notebooks.py must hold every notebook, and no other"
    assert list(notebooks.SERIES) == sorted(notebooks.SERIES)
    for name, notebook in notebooks.SERIES.items():
        assert set(notebook.after) <= set(list(notebooks.SERIES)[: list(notebooks.SERIES).index(name)])
    notebooks.check_series()


def test_a_notebook_that_nothing_runs_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path)
    (tmp_path / "07_toy.ipynb").touch()
    with pytest.raises(ValueError, match="nothing runs 07_toy: declare it in SERIES"):
        notebooks.check_series()
