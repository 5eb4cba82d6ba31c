"""What the commands of the pipeline do around a notebook."""

from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from cgdseg.cli import pipeline
from cgdseg.cli.shared import app
from cgdseg.report import jobs, pages, runner


@pytest.mark.parametrize(("long", "written"), [(-1, ["executed"]), (600, [])])
def test_a_long_notebook_has_its_page_before_the_others_end(monkeypatch, long, written):
    found = []
    monkeypatch.setattr(pipeline, "LONG", long)
    monkeypatch.setattr(jobs, "make_job", lambda *words: SimpleNamespace(executed="executed"))
    monkeypatch.setattr(runner, "run_notebook", lambda job, seconds: None)
    monkeypatch.setattr(pages, "write_page", found.append)
    assert CliRunner().invoke(app, ["run", "03_training"]).exit_code == 0 and found == written
