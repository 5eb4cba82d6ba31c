"""What a notebook leaves behind: tables, figures and files, each registered with its SHA-256.

out = Outputs(cfg, "04_evaluation"); out.table(df, "f1", caption); out.figure(fig, "roc", alt, caption); out.finish()
What they return is shown when it is the last value of a cell."""

import io
import json
import os
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from cgdseg import loops, paths
from cgdseg.config import Config, Run
from cgdseg.figures.html import compare_html, figure_html, table_html
from cgdseg.files import write_atomic
from cgdseg.hashes import sha256
from cgdseg.report.origin import Origin, stamp
from cgdseg.text import harmless_markdown

if TYPE_CHECKING:  # the runner imports this file many times and needs no tables
    import pandas as pd

# JupyterLab draws figures without ground on its own, and sets words right and breaks them at every blank
LAB_RULES = "img.svg{background:#fff}td.short{white-space:nowrap}td.text,th.text{text-align:left!important}"
TOKEN = "CGDSEG_RUN_TOKEN"  # the runner sets it, so that a sentinel of another run is not taken for its own


class Shown:
    """Something Jupyter displays: HTML in a browser, `text` elsewhere."""

    def __init__(self, html: str, text: str):
        self.html, self.text = html, text

    def _repr_html_(self) -> str:
        return (f"<style>{LAB_RULES}</style>" if loops.someone_is_there() else "") + self.html

    def __repr__(self) -> str:
        return self.text


class Prose:
    """Markdown that was put together from numbers and names; none can bring HTML or a hidden link into it."""

    def __init__(self, markdown: str):
        self.markdown = harmless_markdown(markdown)

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
        self.cautions: dict[str, str] = {}
        self.sentinel.unlink(missing_ok=True)

    def table(self, table: "pd.DataFrame", name: str, caption: str) -> Shown:
        """Save a table as CSV, at full precision and stamped with its origin; return it as HTML to read."""
        caption = self._with_caution(caption, table, name)
        path, named_rows = self._save(table, name, caption)
        words = self.origin.words(len(table))
        html = table_html(table.reset_index() if named_rows else table, caption, words, _link(path))
        return Shown(html, f"{caption}\n{table}\n{words}")

    def figure(
        self, figure, name: str, alt: str, caption: str, svg: bool = True, data: "pd.DataFrame | str | None" = None
    ) -> Shown:
        """Save a matplotlib figure and close it: SVG for curves, PNG (svg=False) for whatever holds photographs.

        `alt` says in words what the figure shows to someone who cannot see it. `data`: the numbers behind it, to be
        saved beside it, or the name of a table that holds them."""
        caption = self._with_caution(caption, data)
        path = self._drawn(figure, name, alt, caption, "svg" if svg else "png")
        if data is not None and not isinstance(data, str):
            data = self._save(data, f"{name}-data", f"Data of the figure: {caption}")[0].stem.removesuffix(self.suffix)
        link = ""
        if data:
            numbers = paths.tables_dir(self.config) / f"{data}{self.suffix}.csv"
            self.shown[portable(path)]["data"], link = numbers.name, _link(numbers)
        full = "" if svg else _link(path)
        return Shown(figure_html(path, alt, caption, link, full), f"{caption}\n[{alt}]")

    def compare(self, below, above, name: str, alt: str, caption: str) -> Shown:
        """Save two matplotlib figures of one size, to be laid over each other with a slider between them."""
        first = self._drawn(below, f"{name}-below", alt, caption, "png")
        second = self._drawn(above, f"{name}-above", alt, caption, "png")
        return Shown(compare_html(first, second, alt, caption), f"{caption}\n[{alt}]")

    def card(self, name: str, markdown: str) -> None:
        """Save the card of a dataset or a trained model (`cards`); the index leads to a page with all of them."""
        path = paths.cards_dir(self.config) / f"{name}.md"
        write_atomic(path, markdown)
        self._register(path)

    def file(self, path: str | Path) -> None:
        """Register any other file the notebook wrote."""
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{paths.short(path)} was not written: write it before out.file(...)")
        self._register(path)

    def prose(self, markdown: str, about: str = "") -> Prose:
        """Show a sentence put together from numbers; measured numbers are never typed.

        `about`: the headline figure or table that it reads, which the index shows with it."""
        names = [about + self.suffix, f"{about}-below{self.suffix}"]
        shown = [words for key, words in self.shown.items() if Path(key).stem in names]
        if about and not shown:
            raise ValueError(f"nothing called {about} was shown before these words about it")
        prose = Prose(markdown)
        for words in shown:
            words["reading"] = "\n\n".join(filter(None, [words.get("reading"), prose.markdown]))
        return prose

    def finish(self) -> Shown:
        """Say that the notebook came to its end: write the sentinel, {path: sha256} of everything registered."""
        record = {"token": os.environ.get(TOKEN, ""), "outputs": self.outputs, "shown": self.shown}
        write_atomic(self.sentinel, to_json(record))
        names = "".join(f"<li><code>{escape(name)}</code></li>" for name in sorted(self.outputs))
        title = f"<summary>{len(self.outputs)} files written</summary>"
        html = f'<details class="written">{title}<ul>{names}</ul></details>'
        return Shown(html, "\n".join(["written:", *sorted(self.outputs)]))

    def _with_caution(self, caption: str, data: "pd.DataFrame | str | None", name: str = "") -> str:
        """A caption that says so where the intervals of its table rest on few people (`studies.phrasing.caution`)."""
        from cgdseg.studies.phrasing import caution

        if data is None or isinstance(data, str):
            found = self.cautions.get(data or "", "")
        else:
            found = self.cautions[name] = caution(data)
        return f"{caption.rstrip('.')}.{found}" if found else caption

    def _save(self, table: "pd.DataFrame", name: str, caption: str) -> tuple[Path, bool]:
        path = paths.tables_dir(self.config) / f"{_plain(name)}{self.suffix}.csv"
        named_rows = type(table.index).__name__ != "RangeIndex"
        write_atomic(path, stamp(table, self.origin).to_csv(index=named_rows, lineterminator="\n"))
        self._register(path, caption=caption)
        return path, named_rows

    def _drawn(self, figure, name: str, alt: str, caption: str, kind: str) -> Path:
        if not alt.strip():
            raise ValueError(f"figure {name} has no alt text: say in one sentence what it shows")
        path = paths.figures_dir(self.config) / f"{_plain(name)}{self.suffix}.{kind}"
        write_atomic(path, _draw(figure, kind))
        self._register(path, caption=caption, alt=alt)
        return path

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


def _link(path: Path) -> str:
    """From a page of the report to a file of it, and from an open notebook where a reader sits in front of it."""
    return os.path.relpath(path) if loops.someone_is_there() else f"../{path.parent.name}/{path.name}"


def _plain(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ValueError(f"{name!r} cannot be a file name: use letters, digits, _ and -")
    return name


def _draw(figure, kind: str) -> bytes:
    """The same figure gives the same bytes: fixed ids, no date."""
    import matplotlib.pyplot as plt

    buffer, more = io.BytesIO(), {"transparent": True} if kind == "svg" else {}
    with plt.rc_context({"svg.hashsalt": "cgdseg", "svg.fonttype": "path"}):
        metadata = {"Date" if kind == "svg" else "Software": None}
        figure.savefig(buffer, format=kind, bbox_inches="tight", metadata=metadata, **more)
    plt.close(figure)
    return buffer.getvalue()
