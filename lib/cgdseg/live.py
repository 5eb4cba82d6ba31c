"""What only a reader in front of the kernel should see: whether there is one, and progress bars for them.

bar(items, desc="runs") -> the items, behind a bar of widgets in JupyterLab, one of text in a terminal, and none in a
notebook that runs by itself: nobody waits there, and each of its steps would be kept on the page."""

import os
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm as Bar


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
    if in_notebook:
        from tqdm.notebook import tqdm as WidgetBar  # text bars cannot stand below each other in a notebook

        return WidgetBar(items, **words)
    return Bar(items, **words)
