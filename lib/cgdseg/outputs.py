"""What a notebook leaves behind: tables, figures and files, each registered with its SHA-256.

out = Outputs(cfg, "04_evaluation"); out.table(df, "f1", caption); out.figure(fig, "roc", alt, caption); out.finish()
What they return is shown when it is the last value of a cell."""

import base64
import io
import json
import math
import os
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from cgdseg import paths
from cgdseg.config import Config, Run
from cgdseg.files import sha256, write_atomic
from cgdseg.provenance import Origin, stamp

if TYPE_CHECKING:  # the runner imports this file many times and needs no tables
    import pandas as pd

TOKEN = "CGDSEG_RUN_TOKEN"  # the runner sets it, so that a sentinel of another run is not taken for its own
MISSING = "–"
SHORT = 28  # characters that a cell of text holds without a line break


class Shown:
    """Something Jupyter displays: HTML in a browser, `text` elsewhere."""

    def __init__(self, html: str, text: str):
        self.html, self.text = html, text

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


class Prose:
    """Markdown that was put together from numbers."""

    def __init__(self, markdown: str):
        self.markdown = markdown

    def _repr_markdown_(self) -> str:
        return self.markdown

    def __repr__(self) -> str:
        return self.markdown


class Outputs:
    """The ledger of one notebook. With a `run`, the names of tables and figures end in `.<run name>`."""

    def __init__(self, cfg: Config, notebook: str, run: Run | None = None):
        self.config = cfg.name
        self.origin = Origin.of(cfg, run)
        self.suffix = f".{run.name}" if run else ""
        self.sentinel = sentinel_path(cfg.name, notebook + self.suffix)
        self.outputs: dict[str, str] = {}
        self.shown: dict[str, dict[str, str]] = {}
        self.sentinel.unlink(missing_ok=True)

    def table(self, table: "pd.DataFrame", name: str, caption: str) -> Shown:
        """Save a table as CSV, at full precision and stamped with its origin; return it as HTML to read."""
        path = paths.tables_dir(self.config) / f"{_plain(name)}{self.suffix}.csv"
        named_rows = type(table.index).__name__ != "RangeIndex"
        write_atomic(path, stamp(table, self.origin).to_csv(index=named_rows, lineterminator="\n"))
        self._register(path, caption=caption)
        words = self.origin.words(len(table))
        html = table_html(table.reset_index() if named_rows else table, caption, words)
        return Shown(html, f"{caption}\n{table}\n{words}")

    def figure(self, figure, name: str, alt: str, caption: str, svg: bool = True) -> Shown:
        """Save a matplotlib figure and close it: SVG for curves, PNG (svg=False) for whatever holds photographs.

        `alt` says in words what the figure shows to someone who cannot see it."""
        if not alt.strip():
            raise ValueError(f"figure {name} has no alt text: say in one sentence what it shows")
        kind = "svg" if svg else "png"
        path = paths.figures_dir(self.config) / f"{_plain(name)}{self.suffix}.{kind}"
        write_atomic(path, _draw(figure, kind))
        self._register(path, caption=caption, alt=alt)
        return Shown(figure_html(path, alt, caption), f"{caption}\n[{alt}]")

    def file(self, path: str | Path) -> None:
        """Register any other file the notebook wrote."""
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{paths.short(path)} was not written: write it before out.file(...)")
        self._register(path)

    def prose(self, markdown: str) -> Prose:
        """Show a sentence put together from numbers; measured numbers are never typed."""
        return Prose(markdown)

    def finish(self) -> Shown:
        """Say that the notebook came to its end: write the sentinel, {path: sha256} of everything registered."""
        record = {"token": os.environ.get(TOKEN, ""), "outputs": self.outputs, "shown": self.shown}
        write_atomic(self.sentinel, to_json(record))
        names = "".join(f"<li><code>{escape(name)}</code></li>" for name in sorted(self.outputs))
        html = (
            f'<details class="written"><summary>{len(self.outputs)} files written</summary><ul>{names}</ul></details>'
        )
        return Shown(html, "\n".join(["written:", *sorted(self.outputs)]))

    def _register(self, path: Path, **words: str) -> None:
        key = portable(path)
        if key in self.outputs and words and TOKEN in os.environ:  # in JupyterLab a cell may well run again
            raise ValueError(f"{key} is written twice: give the second one another name")
        self.outputs[key] = sha256(path)
        if words:
            self.shown[key] = words


def sentinel_path(config: str, stem: str) -> Path:
    return paths.executed_dir(config) / f"{stem}.done.json"


def portable(path: Path) -> str:
    """A path as ledgers record it: relative to HOME where it lies inside. `located` is the way back."""
    path = Path(path).resolve()
    return path.relative_to(paths.HOME).as_posix() if path.is_relative_to(paths.HOME) else str(path)


def located(name: str) -> Path:
    return paths.HOME / name


def to_json(value) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


def table_html(table: "pd.DataFrame", caption: str, origin: str = "") -> str:
    """A table with caption and origin; numbers stand right, rounded alike within a column; every text is escaped."""
    numeric = [table.iloc[:, i].dtype.kind in "iuf" for i in range(table.shape[1])]
    kinds = ['class="number"' if n else 'class="text"' for n in numeric]
    heads = [" ".join(map(str, name)).strip() if isinstance(name, tuple) else str(name) for name in table.columns]
    head = "".join(f'<th scope="col" {kind}>{escape(name)}</th>' for kind, name in zip(kinds, heads, strict=True))
    columns = [_cells(table.iloc[:, i], numeric[i], kinds[i]) for i in range(table.shape[1])]
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in zip(*columns, strict=True))
    if table.empty:
        body = f'<tr><td class="text" colspan="{table.shape[1]}">none</td></tr>'
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table class="data">\n'
        f"<caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"
        + (f'<p class="origin">{escape(origin)}</p>' if origin else "")
    )


def figure_html(path: Path, alt: str, caption: str) -> str:
    """A figure with its image inside, so that the page needs no other file."""
    kind = "svg+xml" if path.suffix == ".svg" else "png"
    data = base64.b64encode(path.read_bytes()).decode()
    image = f'<img class="{path.suffix[1:]}" alt="{escape(alt)}" src="data:image/{kind};base64,{data}">'
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"


def _cells(column: "pd.Series", numeric: bool, kind: str) -> list[str]:
    if not numeric:
        words = [MISSING if gone else _words(value) for value, gone in zip(column, column.isna(), strict=True)]
        if max(map(len, words), default=0) <= SHORT:
            kind = kind.replace("text", "text short")
        return [f"<td {kind}>{escape(text)}</td>" for text in words]
    texts = zip(column, _numbers(column), strict=True)
    return [f'<td {kind} data-value="{value}">{escape(text)}</td>' for value, text in texts]


def _numbers(column: "pd.Series") -> list[str]:
    """Integers in full; other numbers to about four figures, with one number of decimals for the whole column.

    A column of scores keeps the four decimals that the field prints."""
    values = column.astype(float).tolist()
    finite = [abs(value) for value in values if math.isfinite(value)]
    top = max(finite, default=0)
    if all(float(value).is_integer() for value in finite):
        layout = ",.0f"
    elif top < 0.01:
        layout = ".3g"
    else:
        layout = f",.{4 if top <= 1 else 3 if top < 10 else max(0, 3 - int(math.log10(top)))}f"
    smallest = 0.0005 if layout.endswith("f") and "0f" not in layout else 0  # p = 0.0001 must not read 0.000
    small = [0 < abs(value) < smallest for value in values]
    texts = [format(value, ".1g" if tiny else layout) for value, tiny in zip(values, small, strict=True)]
    return [MISSING if text == "nan" else text for text in texts]


def _words(value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _plain(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ValueError(f"{name!r} cannot be a file name: use letters, digits, _ and -")
    return name


def _draw(figure, kind: str) -> bytes:
    """The same figure gives the same bytes: fixed ids, no date."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    with plt.rc_context({"svg.hashsalt": "cgdseg", "svg.fonttype": "path"}):
        if kind == "svg":
            figure.savefig(buffer, format="svg", bbox_inches="tight", transparent=True, metadata={"Date": None})
        else:
            figure.savefig(
                buffer, format="png", bbox_inches="tight", dpi=min(figure.dpi * 1.5, 200), metadata={"Software": None}
            )
    plt.close(figure)
    return buffer.getvalue()
