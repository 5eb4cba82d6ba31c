"""Run a notebook headless, and believe only what can be checked.

run_notebook(job) -> None; afterwards job.receipt names every output with its SHA-256. Raises NotebookError.
papermill alone reports success after a dead kernel and after sys.exit(0); here nothing counts as done without
exit code 0, every cell executed, and the sentinel that the last cell writes."""

import contextlib
import ctypes
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from cgdseg import hashes, paths
from cgdseg.config import Config
from cgdseg.files import lock, write_atomic
from cgdseg.hashes import digest
from cgdseg.report.jobs import Job, cells, spoiled
from cgdseg.report.outputs import TOKEN, sentinel_path, to_json

DAY = 24 * 3600
PACKAGES = ("torch", "transformers", "peft", "accelerate", "albumentations", "numpy", "pandas", "papermill")


class NotebookError(RuntimeError):
    """A notebook did not run to its end. `failed` is the notebook as far as it came, if it started at all."""

    def __init__(self, message: str, failed: Path | None = None):
        super().__init__(message)
        self.failed = failed


def run_notebook(job: Job, timeout_s: float = DAY) -> None:
    """Run a notebook, unless its last run still stands, and write its receipt.

    Raises NotebookError, also when it is interrupted; Busy when another process runs it."""
    job.executed.parent.mkdir(parents=True, exist_ok=True)
    with lock(job.executed.with_name(f".{job.stem}.lock"), job.stem):
        reason = job.why()
        if reason:
            started = time.monotonic()
            say("run", job.stem, reason)
            _execute(job, timeout_s)
            say("done", job.stem, f"{time.monotonic() - started:.0f} s")
        else:
            say("keep", job.stem, "nothing it depends on has changed")
            receipt = json.loads(job.executed.read_text())["metadata"]["cgdseg"]["receipt"]
            write_atomic(job.receipt, to_json(receipt))
        for leftover in (job.failed, paths.html_dir(job.cfg.name) / f"{job.stem}.failed.html"):
            leftover.unlink(missing_ok=True)


def _execute(job: Job, timeout_s: float) -> None:
    """The strict part: a temporary name, a process of its own, proofs, and only then the real names."""
    part, token = job.file(".part.ipynb"), secrets.token_hex(16)
    sentinel = sentinel_path(job.cfg.name, job.stem)
    sentinel.unlink(missing_ok=True)
    recipe, reads = job.recipe(), job.reads()  # before the run: an edit in the meantime must count as one
    about = provenance(job)
    started = time.monotonic()
    try:
        code, log = _papermill(job, part, token, timeout_s)
        if code and not any(map(_began, _code_cells(part))):
            # kernels that start at once may pick the same port (papermill issue 511)
            say("again", job.stem, "its kernel did not start")
            code, log = _papermill(job, part, token, timeout_s)
        fault = _fault(part, code, log, sentinel, token, timeout_s)
    except (KeyboardInterrupt, SystemExit) as stop:  # Ctrl-C; what the command line makes of SIGTERM
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second one must not cost what is kept now
        code, fault = getattr(stop, "code", 130), f"it was interrupted in {_where(_code_cells(part))}"
    about |= {"seconds": round(time.monotonic() - started, 1), "exit code": code}
    if fault:
        raise _failure(job, part, fault, about)
    done = json.loads(sentinel.read_text())
    receipt = {"notebook": job.notebook.stem, "run": job.run.name if job.run else None, "parameters": job.values}
    receipt |= {"recipe": recipe, "reads": reads, "outputs": done["outputs"], "shown": done["shown"]}
    _annotate(part, {"receipt": receipt, "provenance": about})
    os.replace(part, job.executed)
    write_atomic(job.receipt, to_json(receipt))
    sentinel.unlink()


def _papermill(job: Job, part: Path, token: str, timeout_s: float) -> tuple[int | None, str]:
    """Run papermill in its own process group; return its exit code (None: out of time) and its messages."""
    given = []
    for name, value in job.values.items():
        given += ["-r" if isinstance(value, str) else "-p", name, str(value)]  # -r: text stays text
    quiet = ["--no-progress-bar", "--no-log-output", "--cwd", str(job.notebook.parent)]
    files = [str(path).replace("{", "{{").replace("}", "}}") for path in (job.notebook, part)]  # formats, to papermill
    command = [sys.executable, "-m", "papermill", *files, *quiet, *given]
    with tempfile.TemporaryDirectory(prefix="cgdseg-") as scratch, open(f"{scratch}/log", "w+") as log:
        environment = kernel_environment(job.cfg) | {TOKEN: token, "IPYTHONDIR": f"{scratch}/ipython"}
        streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT}
        own = {"start_new_session": True, "preexec_fn": _die_with_parent if sys.platform == "linux" else None}
        process = subprocess.Popen(command, env=environment, **streams, **own)
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:  # also on Ctrl-C and SIGTERM: no kernel outlives its run
            _kill(process)
        log.seek(0)
        return code, log.read()


def kernel_environment(cfg: Config) -> dict[str, str]:
    """The one place that says what a kernel finds around it."""
    fixed = {
        "OMP_NUM_THREADS": str(cfg.training.n_threads),  # thread counts change floating-point sums
        "PYTHONHASHSEED": "0",
        "MPLBACKEND": "agg",
        "TQDM_DISABLE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    return {**os.environ, **fixed}


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a killed runner leaves no papermill behind


def _kill(process: subprocess.Popen) -> None:
    """End papermill, its kernel (which sits in a session of its own) and the kernel's workers."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid)
        for member in [*family.children(recursive=True), family]:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
    process.wait()


def forward_signals(process: subprocess.Popen) -> None:
    """Pass SIGINT and SIGTERM on to Snakemake and its jobs; by itself it lets running notebooks come to their end."""
    import psutil

    def stop(*_) -> None:
        with contextlib.suppress(psutil.Error):
            family = psutil.Process(process.pid)
            for member in [family, *family.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    if {"snakemake", "cgdseg.cli"} & set(member.cmdline()):  # not their shells, which would not wait
                        member.terminate()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


def _fault(part: Path, code: int | None, log: str, sentinel: Path, token: str, timeout_s: float) -> str | None:
    """What speaks against success, in words; None if nothing does."""
    code_cells = _code_cells(part)
    if not code_cells:
        return f"papermill wrote no notebook (exit code {code}):\n{_tail(log)}"
    errors = [output for cell in code_cells for output in cell["outputs"] if output["output_type"] == "error"]
    where = _where(code_cells)
    if code is None:
        return f"it ran longer than {timeout_s:g} s; it was stopped in {where}"
    if errors:
        return f"{where} raised {errors[0]['ename']}: {_tail(errors[0]['evalue'])}"
    if code:
        return f"the kernel died or papermill broke off (exit code {code}) in {where}: {_tail(log, 1)}"
    if any(_state(cell) != "completed" or cell["execution_count"] is None for cell in code_cells):
        return f"it ended early, without an error, in {where}"
    try:
        done = json.loads(sentinel.read_text())
    except (OSError, ValueError):
        return "its last cell did not call out.finish()"
    if done["token"] != token:
        return "the sentinel was written by another run"
    return spoiled(done["outputs"])


def _code_cells(part: Path) -> list[dict]:
    """The code cells of a notebook as far as it came; none where it was not written, or not to its end."""
    try:
        return [cell for cell in cells(part) if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]
    except (OSError, ValueError):
        return []


def _began(cell: dict) -> bool:
    return bool(cell["metadata"].get("papermill", {}).get("start_time"))


def _state(cell: dict) -> str:
    mark = cell["metadata"].get("papermill", {})
    return "failed" if mark.get("exception") else mark.get("status", "pending")


def _where(code_cells: list[dict]) -> str:
    """The last cell that began, as people count: code cells from 1, without the injected one."""
    own = [cell for cell in code_cells if "injected-parameters" not in cell["metadata"].get("tags", [])]
    begun = [number for number, cell in enumerate(own, 1) if _began(cell)]
    if not begun:
        return "its start"
    first_line = "".join(own[begun[-1] - 1]["source"]).strip().splitlines()[0]
    return f"code cell {begun[-1]} of {len(own)} (`{first_line}`)"


def _failure(job: Job, part: Path, fault: str, about: dict) -> NotebookError:
    """The error to raise, after keeping the notebook as far as it came: the empty one where papermill left none."""
    message = f"{paths.short(job.notebook)}{f' ({job.run.name})' if job.run else ''} failed: {fault}"
    try:
        if not _code_cells(part):
            write_atomic(part, job.notebook.read_bytes())
        _annotate(part, {"fault": fault, "provenance": about})
        os.replace(part, job.failed)
    except OSError as error:
        return NotebookError(f"{message}\nand how far it came could not be kept: {error}")
    return NotebookError(message, job.failed)


def _annotate(path: Path, about: dict) -> None:
    """Put our facts in place of papermill's, and take its error banners out."""
    notebook = json.loads(path.read_text())
    notebook["metadata"].pop("papermill", None)
    notebook["metadata"]["cgdseg"] = about
    tag = "papermill-error-cell-tag"
    notebook["cells"] = [cell for cell in notebook["cells"] if tag not in cell["metadata"].get("tags", [])]
    write_atomic(path, json.dumps(notebook, indent=1))


def provenance(job: Job) -> dict:
    """When, where and with what. It changes from run to run and so stays out of the receipt."""
    versions = {name: metadata.version(name) for name in PACKAGES if any(metadata.distributions(name=name))}
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": hashes.commit(),
        "config": f"{job.cfg.name} ({digest(job.cfg)[:12]})",
        "departures": job.cfg.departures(),
        "threads": job.cfg.training.n_threads,
        "python": sys.version.split()[0],
        "versions": versions,
    }


def say(word: str, what: str, more: str) -> None:
    line = f"{datetime.now():%H:%M:%S}  {word:<4}  {what:<36}  {more}\n"
    print(line, end="", flush=True)  # in one write: unbuffered, a print of its own newline is torn apart by others


def _tail(text: str, n_lines: int = 8) -> str:
    return "\n".join(text.strip().splitlines()[-n_lines:])
