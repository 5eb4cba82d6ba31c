"""The real notebooks through the real runner: the smoke config from nothing, then with its weights gone."""

import os
import shutil
import subprocess
import sys

import pytest

from cgdseg.paths import ROOT
from cgdseg.report import jobs

STEMS = [job.stem for job in jobs.every_job("smoke")]
TRAININGS = sorted(stem for stem in STEMS if stem.startswith("03"))


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


def test_nothing_changed_runs_nothing(home):
    assert executed(reports(home)) == []


def test_lost_weights_are_trained_again(home):
    shutil.rmtree(home / "data" / "runs")
    assert [stem for stem in executed(reports(home)) if stem.startswith("03")] == TRAININGS
