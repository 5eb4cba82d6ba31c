"""Long loops: a pool of processes for them, and progress bars for whoever sits in front.

bar(items, desc="runs") -> the items, behind a bar of text in a terminal or an open notebook, and none in a notebook
that runs by itself: nobody waits there, and each of its steps would be kept on the page."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from tqdm import tqdm as Bar


def in_parallel(
    function: Callable, items: Iterable, n_workers: int | None = None, progress: str | None = None, heavy: bool = False
) -> Iterator[Any]:
    """Yield function(item) in the order of the items, from a pool of processes.

    n_workers None: one per core; 0 or 1: in this process. progress: the bar's title, or None for no bar. heavy: an item
    takes long enough to be worth a process of its own, which inherits no lock of this one's threads."""
    items = list(items)
    n_workers = os.cpu_count() if n_workers is None else n_workers
    n_workers = min(n_workers, len(items) // (1 if heavy else 8))  # a process costs more than a few files
    shown = {"total": len(items), "desc": progress, "disable": progress is None}
    if n_workers < 2:
        yield from bar(map(function, items), **shown)
        return
    chunk = max(1, min(32, len(items) // (4 * n_workers)))
    with ProcessPoolExecutor(n_workers, multiprocessing.get_context("spawn") if heavy else None) as pool:
        yield from bar(pool.map(function, items, chunksize=chunk), **shown)


def kernel() -> Any:
    """The Jupyter kernel this process is, None elsewhere."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None)


def someone_is_there() -> bool:
    """Whether a reader sits in front of this kernel.

    A front-end says with every cell if it could ask its user something: JupyterLab could, papermill and nbval not."""
    return bool(getattr(kernel(), "_allow_stdin", False))


def bar(items: Iterable | None = None, **words: Any) -> Bar:
    """tqdm's bar with tqdm's own words; TQDM_DISABLE silences it whatever they say.

    JupyterLab draws a line of text anew, but not the one above it: a bar inside another one of its cell is silent."""
    if os.environ.get("TQDM_DISABLE", "0") not in ("", "0"):
        return Bar(items, **words | {"disable": True})
    if (here := kernel()) is None:
        return Bar(items, **words)
    cell = here.get_parent().get("header", {}).get("msg_id")  # a bar that another cell left open takes no line here
    nested = any(getattr(other, "cell", None) == cell for other in Bar._instances)
    # disable=None stands for "unless this is a terminal", but here is somebody to see it
    silent = nested or not someone_is_there() or bool(words.get("disable"))
    shown = Bar(items, **words | {"disable": silent, "position": 0})
    shown.cell = cell
    return shown
