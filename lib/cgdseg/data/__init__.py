"""Data: files on disk -> manifest and findings -> splits -> memory-mapped pixels -> training batches."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from cgdseg import live


def in_parallel(
    function: Callable,
    items: Iterable,
    n_workers: int | None = None,
    progress: str | None = None,
    heavy: bool = False,
) -> Iterator[Any]:
    """Yield function(item) in the order of the items, from a pool of processes.

    n_workers None: one per core; 0 or 1: in this process. progress: the bar's title, or None for no bar. heavy: an item
    is a training rather than a file: worth a process of its own, which inherits no lock of this one's threads."""
    items = list(items)
    n_workers = os.cpu_count() if n_workers is None else n_workers
    n_workers = min(n_workers, len(items) // (1 if heavy else 8))  # a process costs more than a few files
    bar = {"total": len(items), "desc": progress, "disable": progress is None}
    if n_workers < 2:
        yield from live.bar(map(function, items), **bar)
        return
    chunk = max(1, min(32, len(items) // (4 * n_workers)))
    with ProcessPoolExecutor(n_workers, multiprocessing.get_context("spawn") if heavy else None) as pool:
        yield from live.bar(pool.map(function, items, chunksize=chunk), **bar)
