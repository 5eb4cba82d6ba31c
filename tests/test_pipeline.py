"""What runs again after which edit: the real runner and Snakefile around six toy notebooks."""

import json
import os
import signal
import subprocess
import time

import pytest
from toys import AUDIT, COMPARISON, EVALUATION, GAP, MODEL, TRAININGS, Tree

pytestmark = pytest.mark.kernels


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    tree = Tree(tmp_path_factory.mktemp("project"))
    assert tree.reports() == [AUDIT, MODEL, *TRAININGS, EVALUATION, GAP, COMPARISON]
    return tree


def test_nothing_changed_runs_nothing(tree):
    files = [path for path in tree.root.glob("reports/toy/**/*.*") if path.name != ".lock"]
    before = {path: path.stat().st_mtime_ns for path in files}
    started = time.monotonic()
    assert tree.reports() == []
    assert time.monotonic() - started < 20
    assert "open reports/toy/index.html" in tree.said
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_what_jupyterlab_saves_runs_nothing(tree):
    notebook = tree.root / f"notebooks/{GAP}.ipynb"
    saved = json.loads(notebook.read_text())
    saved["cells"][1]["execution_count"] = 3  # as JupyterLab saves it
    notebook.write_text(json.dumps(saved))
    assert tree.reports() == []


def test_any_edit_of_a_library_file_runs_its_users(tree):
    """Even a comment: whoever edits expects to see it run. Only training itself looks at the code alone."""
    tree.edit("lib/cgdseg/toy.py", '"""Used by 03 alone."""', '"""Used by 03 alone."""  # a comment')
    assert tree.reports() == TRAININGS


def test_library_code_runs_its_users_and_stops_where_nothing_changes(tree):
    tree.edit("lib/cgdseg/toy.py", "RATE = 1", "RATE = 2")
    assert tree.reports() == TRAININGS
    assert f"keep  {EVALUATION}" in tree.said


def test_notebook_runs_alone(tree):
    tree.edit(f"notebooks/{GAP}.ipynb", "[42]", "[43]")
    assert tree.reports() == [GAP]


def test_settings_run_only_who_depends_on_them(tree):
    with open(tree.root / "configs/toy.yaml", "a") as file:
        file.write("evaluation: {threshold: 0.4}\n")
    assert tree.reports() == [EVALUATION, GAP, COMPARISON]


def test_edited_or_deleted_output_is_made_again(tree):
    tree.edit("reports/toy/tables/parts.csv", "42", "99")
    assert tree.reports() == [MODEL]
    assert "42" in tree.page("tables/parts.csv")
    (tree.root / "data/cache/toy/scores.csv").unlink()
    assert tree.reports() == [EVALUATION]
    (tree.root / f"reports/toy/html/{AUDIT}.html").unlink()
    assert tree.reports() == []
    assert "<h1" in tree.page(f"html/{AUDIT}.html")


def test_changed_data_runs_its_readers(tree):
    tree.edit(f"notebooks/{AUDIT}.ipynb", "1\\\\n", "2\\\\n")
    assert tree.reports() == [AUDIT, MODEL, *TRAININGS, EVALUATION, GAP, COMPARISON]


def test_failure_is_shown_and_the_rest_goes_on(tree):
    tree.edit(f"notebooks/{MODEL}.ipynb", "out.table", "out.tabel")
    assert tree.reports(expected_code=1) == [MODEL]
    assert "code cell 3 of 4" in tree.said and "AttributeError" in tree.said
    assert 'role="alert"' in tree.page(f"html/{MODEL}.failed.html")
    assert 'class="status failed"' in tree.page("index.html")
    tree.edit(f"notebooks/{MODEL}.ipynb", "out.tabel", "out.table")
    assert tree.reports() == []  # what it was before the mistake still stands
    assert 'class="status failed"' not in tree.page("index.html")
    assert not (tree.root / f"reports/toy/html/{MODEL}.failed.html").exists()


def test_a_killed_pipeline_blocks_nothing(tree):
    tree.edit(f"notebooks/{GAP}.ipynb", "[43]", "[44]")
    tree.edit(f"notebooks/{GAP}.ipynb", "import pandas as pd", "import time\\ntime.sleep(3)\\nimport pandas as pd")
    whole = subprocess.Popen(tree.command, cwd=tree.root, env=tree.environment, start_new_session=True)
    part = tree.root / f"reports/toy/notebooks/{GAP}.part.ipynb"
    deadline = time.monotonic() + 60
    while not part.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(whole.pid, signal.SIGKILL)
    whole.wait()
    assert tree.reports() == [GAP]
    assert "44" in tree.page("tables/gap.csv")
