"""Faults are injected and counted: count(fault, injected, survived, lost) in a test becomes a row of the table.

The table is printed at the end; with FAULTS_JSON=<file> it is also written there, and into CONTRIBUTING.md."""

import json
import os
import re
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from cgdseg.paths import ROOT

HEAD = "| fault | injected | survived | lost |"

settings.register_profile("quick", max_examples=30, deadline=None, database=None, derandomize=True)
settings.register_profile("long", max_examples=400, deadline=None, database=None)
settings.load_profile("quick")


@pytest.fixture(autouse=True, scope="session")
def _heed_sigint():
    """A shell that starts this in the background has SIGINT ignored, and every child would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def count(record_property):
    """Add to the table; `lost` counts whatever must be 0: false successes, crashes, silent uses, unreadable files."""

    def add(fault: str, injected: int, lost: int = 0) -> None:
        record_property("fault", {"fault": fault, "injected": injected, "survived": injected - lost, "lost": lost})

    return add


def pytest_terminal_summary(terminalreporter):
    rows = {}
    for reports in terminalreporter.stats.values():
        ends = [report for report in reports if getattr(report, "when", "") == "teardown"]  # hold what all phases added
        for key, entry in (pair for report in ends for pair in report.user_properties):
            if key == "fault":
                row = rows.setdefault(entry["fault"], entry | {"injected": 0, "survived": 0, "lost": 0})
                row |= {name: row[name] + entry[name] for name in ("injected", "survived", "lost")}
    if not rows:
        return
    table = [rows[name] for name in sorted(rows)]
    table.append({"fault": "together"} | {n: sum(row[n] for row in table) for n in ("injected", "survived", "lost")})
    terminalreporter.section("faults")
    rows_of = [f"| {row['fault']} | {row['injected']:,} | {row['survived']:,} | {row['lost']:,} |" for row in table]
    words = "\n".join([HEAD, "|---|---:|---:|---:|", *rows_of]) + "\n"
    terminalreporter.write_line(words)
    if target := os.environ.get("FAULTS_JSON"):
        Path(target).write_text(json.dumps(table, indent=1) + "\n")
        note = ROOT / "CONTRIBUTING.md"
        note.write_text(re.sub(re.escape(HEAD) + r"\n(\|.*\n)*", lambda _: words, note.read_text()))
