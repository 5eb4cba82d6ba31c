"""The runner believes nothing: no way of dying or cheating counts as success."""

import json
import os
import subprocess
import sys
import time

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import toys

from cgdseg import paths
from cgdseg.config import load_config
from cgdseg.report import jobs, runner
from cgdseg.report.outputs import Outputs, to_json

KERNEL_DIES = "import os, signal\n\nos.kill(os.getpid(), signal.SIGKILL)"
PAPERMILL_DIES = "import os, signal, time\n\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(9)"
TABLE = "(paths.tables_dir(cfg.name) / 'numbers.csv')"
FAULTS = {
    "exception": (["1 / 0", "x = 1"], "code cell 3 of 5 (`1 / 0`) raised ZeroDivisionError"),
    "sys.exit(0)": (["import sys\n\nsys.exit(0)", "x = 1"], "code cell 3 of 5"),
    "os._exit(0)": (["import os\n\nos._exit(0)", "x = 1"], "code cell 3 of 5"),
    "kernel killed": (["x = 1", KERNEL_DIES, "y = 2"], "code cell 4 of 6"),
    "killed in the last cell": ([toys.table(), KERNEL_DIES], "code cell 4 of 5"),
    "papermill killed": ([PAPERMILL_DIES], "code cell 3 of 4"),
    "interrupted": (["import os, signal\n\nos.kill(os.getpid(), signal.SIGINT)"], "KeyboardInterrupt"),
    "out of time": (["import time\n\ntime.sleep(60)"], "it ran longer than 6 s; it was stopped in code cell 3"),
    "output removed": ([toys.table(), f"{TABLE}.unlink()"], "is gone"),
    "output changed": ([toys.table(), f"{TABLE}.write_text('?')"], "changed by hand"),
}


def job(home, *sources, name="07_toy", given=None, **words):
    path = toys.write_notebook(home / f"notebooks/{name}.ipynb", *sources, **words)
    return jobs.make_job(path, home / "toy.yaml", given)


@pytest.mark.kernels
@pytest.mark.parametrize("fault", FAULTS)
def test_no_false_success(home, fault):
    sources, message = FAULTS[fault]
    this = job(home, *sources)
    with pytest.raises(runner.NotebookError) as caught:
        runner.run_notebook(this, timeout_s=6 if fault == "out of time" else 60)
    assert message in str(caught.value)
    assert not this.receipt.exists() and not this.executed.exists()
    about = json.loads(caught.value.failed.read_text())["metadata"]["cgdseg"]
    assert message in about["fault"]


@pytest.mark.kernels
def test_a_notebook_must_finish(home):
    with pytest.raises(runner.NotebookError, match="did not call out.finish"):
        runner.run_notebook(job(home, toys.table(), end="x = 1"))


@pytest.mark.kernels
def test_an_old_sentinel_proves_nothing(home):
    forged = to_json({"token": "", "outputs": {}, "shown": {}})
    source = f"path = paths.executed_dir(cfg.name) / '07_toy.done.json'\npath.write_text({forged!r})"
    with pytest.raises(runner.NotebookError, match="another run"):
        runner.run_notebook(job(home, source, end=None))


LITERALS = {"N": 1, "RATE": 0.5, "TEXT": "a", "QUICK": True}


@pytest.mark.kernels
def test_success(home, capsys):
    """Parameters arrive with their types; the receipt is the same for the same work; a second run is not needed."""
    given = {"N": "3", "RATE": "1e-05", "TEXT": "007", "QUICK": "false"}
    shown = "print(repr((N, RATE, TEXT, QUICK)))"
    this = job(home, toys.table(), shown, name="05_domain_gap", given=given, parameters=LITERALS)
    runner.run_notebook(this)
    cells = jobs.cells(this.executed)
    assert "".join(cells[-2]["outputs"][0]["text"]).strip() == "(3, 1e-05, '007', False)"
    receipt = this.receipt.read_text()
    assert list(json.loads(receipt)["outputs"]) == ["reports/toy/tables/numbers.csv"]
    assert {path.suffix for path in this.executed.parent.iterdir()} == {".ipynb", ".json", ".lock"}
    this.receipt.unlink()  # as Snakemake does before a job
    capsys.readouterr()
    runner.run_notebook(this)
    assert "keep" in capsys.readouterr().out and this.receipt.read_text() == receipt
    (home / "reports/toy/tables/numbers.csv").write_text("answer\n43\n")
    assert "changed by hand" in this.why()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"Rates": 1.0}, "no parameter Rates; did you mean RATE"),
        ({"EPOCHS": 1.0}, "no parameter EPOCHS"),
        ({"N": "1.5"}, "N must be int"),
        ({"N": True}, "N must be int"),
        ({"RATE": "fast"}, "RATE must be float"),
        ({"QUICK": "1"}, "QUICK must be bool"),
        ({"TEXT": 3}, "TEXT must be str"),
    ],
)
def test_wrong_parameters_are_refused_before_any_kernel(home, given, message):
    with pytest.raises(ValueError, match=message):
        job(home, given=given, parameters=LITERALS)


def test_unknown_names_are_refused_with_the_nearest(home):
    run = {"SYSTEM": "unet", "CONDITION": "synthetic", "SEED": 1}
    with pytest.raises(ValueError, match="no run unet-synthetic-3; it has: unet-synthetic-1"):
        job(home, name="03_training", given={"SEED": 3}, parameters=run)
    with pytest.raises(FileNotFoundError, match="did you mean 03_training"):
        jobs.make_job("03_trianing", home / "toy.yaml")
    with pytest.raises(FileNotFoundError, match="no config"):
        jobs.make_job("03_training", "tyo")
    (home / "toy.yaml").write_text(toys.CONFIG + "sedes: [1]\n")
    with pytest.raises(ValueError, match="sedes"):
        jobs.make_job("03_training", home / "toy.yaml")


def test_parameters_must_be_literals(home):
    with pytest.raises(ValueError, match="NAME = literal"):
        notebook = job(home).notebook
        notebook.write_text(notebook.read_text().replace("CONFIG = 'toy'", "CONFIG = str(1)"))
        jobs.declared(notebook)


@pytest.mark.kernels
def test_a_terminated_runner_ends_its_kernel(home):
    this = job(home, "import time\n\npath = paths.HOME / 'alive'\nwhile True:\n    path.touch()\n    time.sleep(0.1)")
    command = [sys.executable, "-m", "cgdseg.cli", "run", str(this.notebook), "--config", str(home / "toy.yaml")]
    alive = home / "alive"
    for end in ("terminate", "kill"):
        alive.unlink(missing_ok=True)
        with subprocess.Popen(command, env=os.environ) as process:
            deadline = time.monotonic() + 60
            while not alive.exists() and time.monotonic() < deadline:
                time.sleep(0.1)
            getattr(process, end)()
        time.sleep(3)  # an orphaned kernel looks for its parent every second
        last = alive.stat().st_mtime_ns
        time.sleep(0.5)
        assert alive.stat().st_mtime_ns == last
        assert not this.receipt.exists()


def test_ledger(home):
    cfg = load_config(home / "toy.yaml")
    out = Outputs(cfg, "03_training", cfg.runs()[0])
    table = pd.DataFrame({"name": ["<b>", None], "f1": [0.85321, float("nan")], "n": [1000, 2], "p": [0.00012, 0.5]})
    html = out.table(table, "scores", "F1 & more").html
    assert "&lt;b&gt;" in html and "F1 &amp; more" in html and "<b>" not in html
    assert [text for text in ("0.853", "1,000", "0.0001", "–") if text not in html] == []
    saved = pd.read_csv(paths.tables_dir("toy") / "scores.unet-synthetic-1.csv")
    assert saved.columns[:4].tolist() == ["name", "f1", "n", "p"] and saved.f1[0] == 0.85321
    digests = []
    for _ in range(2):
        figure, axes = plt.subplots()
        axes.plot([1, 2])
        shown = out.figure(figure, "curve", "A rising line", "It rises")
        digests.append(out.outputs["reports/toy/figures/curve.unet-synthetic-1.svg"])
        assert 'alt="A rising line"' in shown.html and not plt.get_fignums()
    assert digests[0] == digests[1]
    with pytest.raises(ValueError, match="no alt text"):
        out.figure(plt.figure(), "curve", " ", "It rises")
    plt.close("all")
    with pytest.raises(ValueError, match="cannot be a file name"):
        out.table(table, "../scores", "x")
    with pytest.raises(FileNotFoundError, match="was not written"):
        out.file(home / "nothing")
    out.finish()
    done = json.loads(out.sentinel.read_text())
    assert len(done["outputs"]) == 2 and done["shown"]["reports/toy/tables/scores.unet-synthetic-1.csv"]


@pytest.mark.kernels
def test_a_kernel_that_does_not_start_gets_a_second_chance_and_no_third(home, monkeypatch):
    this, papermill, calls = job(home, toys.table()), runner._papermill, []

    def busy_port(*words):
        calls.append(words)
        return (1, "ZMQError: Address already in use") if len(calls) == 1 else papermill(*words)

    monkeypatch.setattr(runner, "_papermill", busy_port)
    runner.run_notebook(this)
    assert this.receipt.exists() and len(calls) == 2

    calls.clear()
    monkeypatch.setattr(runner, "_papermill", lambda *words: (calls.append(words), (1, "Address already in use"))[1])
    with pytest.raises(runner.NotebookError, match="Address already in use"):
        runner.run_notebook(job(home, toys.table(), name="08_toy"))
    assert len(calls) == 2
