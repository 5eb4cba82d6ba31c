"""The real notebooks through the real runner: the smoke config from nothing, with weights gone, by hand."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from cgdseg.paths import NOTEBOOKS, ROOT
from cgdseg.report import jobs

pytestmark = pytest.mark.kernels
STEMS = [job.stem for job in jobs.every_job("smoke")]
BY_HAND = NOTEBOOKS / "03_training.ipynb"


def reports(home) -> str:
    command = [sys.executable, "-m", "cgdseg.cli", "reports", "smoke", "--cores", "2"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"CGDSEG_HOME": str(home)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def executed(said: str) -> list[str]:
    return sorted(words[2] for line in said.splitlines() if (words := line.split())[1:2] == ["done"])


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("smoke")


def test_everything_from_nothing(home):
    assert executed(reports(home)) == sorted(STEMS)
    pages = {path.stem for path in (home / "reports" / "smoke" / "html").glob("*.html")}
    assert pages == {*STEMS, "cards"} and (home / "reports" / "smoke" / "index.html").exists()


def test_every_notebook_ran_with_its_own_parameters(home):
    receipts = [json.loads((home / f"reports/smoke/notebooks/{stem}.json").read_text()) for stem in STEMS]
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        given = [receipt["parameters"] for receipt in receipts if receipt["notebook"] == path.stem]
        assert jobs.declared(path) in given


def test_nothing_changed_runs_nothing(home):
    assert executed(reports(home)) == []


def test_lost_weights_are_trained_again(home):
    """To the same bytes, so that nothing that reads them runs again."""
    shutil.rmtree(home / "data" / "runs")
    assert executed(reports(home)) == sorted(stem for stem in STEMS if stem.startswith("03"))


def test_a_reader_may_run_a_notebook_by_hand(home):
    """Cell by cell, in a kernel that no runner prepared, as in JupyterLab."""
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-p", "no:cacheprovider", str(BY_HAND)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment |= {"CGDSEG_HOME": str(home), "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    n_cells = sum(cell["cell_type"] == "code" for cell in jobs.cells(BY_HAND))
    assert f"{n_cells} passed" in done.stdout
