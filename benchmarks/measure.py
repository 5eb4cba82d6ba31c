"""Times and memory of rival forms of one computation, taken by turns in one process so that all meet the same machine.

by_turns({"theirs": f, "ours": g}) -> {"theirs": seconds, "ours": seconds}; report(doc, result) prints and keeps it."""

import argparse
import ctypes
import json
import platform
import re
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from cgdseg.models.memory import M_MMAP_MAX, M_TRIM_THRESHOLD


def by_turns(calls: dict[str, Callable[[], object]], rounds: int = 3, warm_up: int = 1) -> dict[str, float]:
    """Median seconds of each call over the rounds; a call's `prepare()`, where it has one, goes untimed before it."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(warm_up + rounds):
        for name, call in calls.items():
            getattr(call, "prepare", wait)()
            wait()
            start = time.perf_counter()
            call()
            wait()
            if turn >= warm_up:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def rivals(
    calls: dict[str, Callable], memory: Callable, batch: int, side: int, rounds: int
) -> tuple[dict, dict[str, float]]:
    """What a comparison of forms of one computation reports, theirs first, and the seconds of each form.

    `memory(form, batch, side)` does the work of a form in a process of its own."""
    seconds = by_turns(calls, rounds)
    best = min(seconds, key=seconds.get)
    result = {
        "ratio": seconds["theirs"] / seconds[best],
        "best": best,
        "batch": batch,
        "ms_an_image": {form: 1000 * took / batch for form, took in seconds.items()},
        "peak_MiB": {form: peak_mib(memory, form, batch, side) for form in calls},
    }
    return result, seconds


def as_glibc_does() -> None:
    """Undo memory.keep_freed_memory, with the largest thresholds that glibc would come to by itself."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    m_mmap_threshold, largest = -3, 32 * 2**20
    mallopt(M_MMAP_MAX, 65536)
    mallopt(m_mmap_threshold, largest)
    mallopt(M_TRIM_THRESHOLD, 2 * largest)
    ctypes.CDLL(None).malloc_trim(0)


def wait() -> None:
    """CUDA works behind the caller's back: let it finish."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_mib(job: Callable, *arguments) -> float:
    """Most memory that job(*arguments) holds, in MiB: on CUDA what it allocates, else of a process of its own."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()  # by rivals that still live
        job(*arguments)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_resident, job, *arguments).result()


def _resident(job: Callable, *arguments) -> float:
    job(*arguments)
    return held("self")


def held(process: int | str) -> float:
    """The most memory that a process ever held, in MiB; elsewhere than on Linux, this process's."""
    status = Path(f"/proc/{process}/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS
    return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 1024  # getrusage counts the parent's too


def machine() -> str:
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    return f"{_processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def options(doc: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the result here as well")
    return parser


def report(result: dict, path: Path | None) -> None:
    text = json.dumps({"machine": machine(), **result}, indent=2)
    print(text)
    if path:
        path.write_text(text + "\n")
