"""Ways for a notebook to die, through the real runner and Snakefile: never a success, how far it came is kept and
rendered, and the next `reports` goes on where this one stopped."""

import functools
import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import toys
from toys import AUDIT, COMPARISON, EVALUATION, GAP, MODEL, TRAININGS

from cgdseg import paths

ONE = [sys.executable, "-m", "cgdseg.cli", "run", EVALUATION, "--config", "toy"]
KILL = "import os, signal\nos.kill({}, signal.SIG{})\nimport time\ntime.sleep({})"
FAULTS = {
    "exception": "1 / 0",
    "sys.exit(0)": "import sys\nsys.exit(0)",
    "os._exit(0)": "import os\nos._exit(0)",
    "kernel killed": KILL.format("os.getpid()", "KILL", 0),
    "kernel terminated": KILL.format("os.getpid()", "TERM", 9),
    "kernel interrupted": KILL.format("os.getpid()", "INT", 9),
    "papermill killed": KILL.format("os.getppid()", "KILL", 9),
    "papermill interrupted": KILL.format("os.getppid()", "INT", 9),
    "papermill terminated": KILL.format("os.getppid()", "TERM", 9),
    "out of memory": "x = bytes(1 << 60)",
    "recursion": "f = lambda: f()\nf()",
    "thread that hangs": "import threading, time\nthreading.Thread(target=time.sleep, args=[99]).start()\n1 / 0",
    "finish in a dying cell": "out.finish()\nimport os\nos._exit(0)",
}


def put(tree, name, fault):
    """Put a fault before the first cell that writes; return the way back."""
    path = tree.root / f"notebooks/{name}.ipynb"
    before = path.read_text()
    notebook = json.loads(before)
    cell = notebook["cells"][3]  # after the title, the parameters and the set-up
    cell["source"] = [f"{fault}\n", *cell["source"]]
    path.write_text(json.dumps(notebook))
    return lambda: path.write_text(before)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    tree = toys.Tree(tmp_path_factory.mktemp("project"))
    assert tree.reports() == [AUDIT, MODEL, *TRAININGS, EVALUATION, GAP, COMPARISON]
    return tree


def forget(tree, *stems):
    """As if these notebooks had never run."""
    for stem in stems:
        for ending in (".json", ".ipynb", ".failed.ipynb"):
            (tree.root / f"reports/toy/notebooks/{stem}{ending}").unlink(missing_ok=True)


def faults_of(tree, stem) -> list[str]:
    """What is not as it must be after a failure of `stem`."""
    folder = tree.root / "reports/toy"
    failed = folder / f"html/{stem}.failed.html"
    kept = folder / f"notebooks/{stem}.failed.ipynb"
    faults = {
        "a receipt": (folder / f"notebooks/{stem}.json").exists(),
        "an executed notebook": (folder / f"notebooks/{stem}.ipynb").exists(),
        "no partial notebook": not kept.exists(),
        "no page": not failed.exists() or 'role="alert"' not in failed.read_text(),
    }
    return [fault for fault, found in faults.items() if found]


@pytest.mark.faults
@pytest.mark.parametrize("fault", FAULTS)
def test_no_way_to_die_is_a_success(tree, fault, count):
    forget(tree, EVALUATION)
    mend = put(tree, EVALUATION, FAULTS[fault])
    done = subprocess.run(ONE, cwd=tree.root, env=tree.environment, capture_output=True, text=True)
    lost = faults_of(tree, EVALUATION)
    lost += [] if done.returncode == 1 and "error: notebooks/04_evaluation.ipynb failed" in done.stderr else ["silent"]
    mend()
    count("notebook that ends itself, its kernel or papermill", 1, len(lost))
    assert not lost, done.stderr


@pytest.mark.faults
def test_reports_tells_of_a_failure_and_goes_on_where_it_stopped(tree, count):
    forget(tree, EVALUATION, GAP)
    mend = put(tree, EVALUATION, FAULTS["kernel killed"])
    assert tree.reports(expected_code=1) == [EVALUATION]
    assert 'class="status failed"' in tree.page("index.html") and not faults_of(tree, EVALUATION)
    mend()
    assert tree.reports() == [EVALUATION, GAP]
    assert 'class="status failed"' not in tree.page("index.html")
    count("notebook that ends itself, its kernel or papermill", 1)


def alive(tree) -> list[psutil.Process]:
    """Processes that work below the tree."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = " ".join(process.info["cmdline"] or [])
        if str(tree.root) in words and process.pid != os.getpid():
            found.append(process)
    return found


def started(tree, command, stem) -> subprocess.Popen:
    process = subprocess.Popen(
        command, cwd=tree.root, env=tree.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (tree.root / "asleep").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    (tree.root / "asleep").unlink()
    return process


@pytest.mark.faults
@pytest.mark.parametrize(
    ("whom", "how"),
    [
        *[("reports", how) for how in ("SIGINT", "SIGTERM", "SIGKILL")],
        *[("run", how) for how in ("SIGINT", "SIGTERM", "SIGKILL")],
        ("reports, its group", "SIGINT"),
    ],
)
def test_an_ended_runner_leaves_no_kernel_and_no_success(tree, whom, how, count):
    forget(tree, EVALUATION, GAP)
    mend = put(tree, EVALUATION, "import time\n(paths.HOME / 'asleep').touch()\ntime.sleep(300)")
    process = started(tree, ONE if whom == "run" else tree.command, EVALUATION)
    number = getattr(signal, how)
    ending = time.monotonic()
    os.killpg(process.pid, number) if "group" in whom else process.send_signal(number)
    try:
        lost = [] if process.wait(60) else ["a success"]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        lost = ["it went on"]
    if how == "SIGKILL" and whom == "reports":  # its children do not know yet: the rest of its group is ended as well
        os.killpg(process.pid, number)
    while (rest := alive(tree)) and time.monotonic() < ending + 30:
        time.sleep(0.2)
    lost += [f"{len(rest)} processes live on"] if rest else []
    if how != "SIGKILL":
        lost += faults_of(tree, EVALUATION)
    mend()
    if whom != "run" and tree.reports() != [EVALUATION, GAP]:
        lost.append("did not go on where it stopped")
    count(f"runner ended by {how}", 1, len(lost))
    assert not lost


@pytest.mark.faults
def test_a_notebook_that_takes_too_long(tree, count):
    forget(tree, EVALUATION, GAP)
    mend = put(tree, EVALUATION, "import time\ntime.sleep(300)")
    done = subprocess.run(
        [*ONE, "--minutes", "0.3"], cwd=tree.root, env=tree.environment, capture_output=True, text=True
    )
    assert done.returncode == 1 and "it ran longer than 18 s" in done.stderr and not faults_of(tree, EVALUATION)
    mend()
    count("notebook out of time", 1)


def test_a_half_written_notebook_is_kept_as_it_was_before(tmp_path, monkeypatch, count):
    """papermill writes in place: killed in the middle of it, it leaves half a notebook."""
    from cgdseg.report import jobs, pages, runner

    monkeypatch.setattr(paths, "HOME", tmp_path)
    (tmp_path / "toy.yaml").write_text(toys.CONFIG)
    path = toys.write_notebook(tmp_path / "notebooks/07_toy.ipynb", toys.table())

    def dies(content, job, part, *_):
        if content is not None:
            part.write_bytes(content)
        return -9, "Killed"

    for content in (None, b"", path.read_bytes()[:500]):
        monkeypatch.setattr(runner, "_papermill", functools.partial(dies, content))
        with pytest.raises(runner.NotebookError, match="papermill wrote no notebook") as caught:
            runner.run_notebook(jobs.make_job(path, tmp_path / "toy.yaml"))
        assert 'role="alert"' in pages.write_page(caught.value.failed).read_text()
    count("half a notebook left by papermill", 3)
