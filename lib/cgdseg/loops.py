"""What only a reader in front of the kernel should see: whether there is one, and progress bars for them.

bar(items, desc="runs") -> the items, behind a bar in the page in JupyterLab, one of text in a terminal, and none in a
notebook that runs by itself: nobody waits there, and each of its steps would be kept on the page."""

import io
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from html import escape
from typing import Any

from tqdm import tqdm as Bar


def in_parallel(
    function: Callable,
    items: Iterable,
    n_workers: int | None = None,
    progress: str | None = None,
    heavy: bool = False,
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


BAR_STYLE = "display:grid;grid-template-columns:max-content 12em 1fr;gap:0 1em;align-items:center;line-height:1.6"
COUNTED, OPEN = "{n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]{postfix}", "{n_fmt}{unit} [{elapsed}]{postfix}"


def kernel() -> Any:
    """The Jupyter kernel this process is, None elsewhere."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None)


def someone_is_there() -> bool:
    """Whether a reader sits in front of this kernel.

    A front-end says with every cell if it could ask its user something: JupyterLab could, papermill and nbval not."""
    return bool(getattr(kernel(), "_allow_stdin", False))


def bar(items: Iterable | None = None, **words: Any) -> Bar:
    """tqdm's bar with tqdm's own words; TQDM_DISABLE silences it whatever they say."""
    in_notebook = kernel() is not None
    if os.environ.get("TQDM_DISABLE", "0") not in ("", "0") or (in_notebook and not someone_is_there()):
        return Bar(items, **words | {"disable": True})
    if in_notebook:  # disable=None stands for "unless this is a terminal", but here is somebody to see it
        return _PageBar(items, **words | {"disable": bool(words.get("disable"))})
    return Bar(items, **words)


class _Page:
    """The bars of one run of a cell: one output, which a saved notebook keeps as it last was.

    A bar of widgets is an error there once its kernel is gone, and one that was closed already before."""

    last: "_Page | None" = None

    def __init__(self, request: str):
        self.request, self.lines, self.handle = request, {}, None

    @classmethod
    def of_this_cell(cls) -> "_Page":
        request = kernel().get_parent().get("header", {}).get("msg_id", "")
        if cls.last is None or cls.last.request != request:
            cls.last = cls(request)
        return cls.last

    def write(self, line: int, html: str) -> None:
        from IPython.display import display

        self.lines[line] = html
        if self.handle is None:
            self.handle = display(self, display_id=True)
        else:
            self.handle.update(self)

    def _repr_html_(self) -> str:
        lines = "".join(self.lines.values())
        return f'<div style="{BAR_STYLE}">{lines}</div>' if lines else ""

    def __repr__(self) -> str:
        return "progress"


class _PageBar(Bar):
    """tqdm's bar as a line of HTML on the page of its cell."""

    def __init__(self, *items: Any, **words: Any):
        self.page = _Page.of_this_cell()
        self.line = len(self.page.lines)
        super().__init__(*items, **words | {"file": io.StringIO()})  # its text is for terminals

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """What tqdm calls to show a bar anew; an empty msg takes it away."""
        self.page.write(self.line, "" if msg == "" else self._html())
        return True

    def _html(self) -> str:
        name, total = escape(self.desc.removesuffix(": ")), self.total
        numbers = self.format_meter(**self.format_dict | {"bar_format": COUNTED if total else OPEN})
        meter = f'<progress aria-label="{name}" value="{self.n}" max="{total}" style="width:100%"></progress>'
        return f"<span>{name}</span>{meter if total else '<span></span>'}<span>{escape(numbers)}</span>"
