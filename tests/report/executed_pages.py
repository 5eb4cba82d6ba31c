"""Executed notebooks written by hand, and a page taken apart."""

import html.parser

import nbformat
import toys
from nbformat.v4 import new_markdown_cell, new_output

from cgdseg import paths
from cgdseg.files import write_atomic

HOSTILE = "<script>alert(1)</script>\"'"
PROVENANCE = {"started": "2026-01-01T10:00:00+00:00", "seconds": 75.2, "commit": "abc", "versions": {"torch": "2.13.0"}}


def executed(home, name="04_evaluation", ending=".ipynb", **about):
    """An executed notebook with one output of every kind."""
    toys.write_notebook(home / f"notebooks/{name}.ipynb", "import pandas\nshow()")
    notebook = nbformat.read(home / f"notebooks/{name}.ipynb", as_version=4)
    png = new_output("display_data", {"image/png": "AAAA"}, metadata={"image/png": {"alt": "An eye"}})
    notebook.cells[-2].outputs = [
        new_output("stream", name="stdout", text=HOSTILE),
        new_output("stream", name="stderr", text="a warning"),
        new_output("execute_result", {"text/html": "<table class='data'></table>", "text/plain": "plain"}),
        new_output("display_data", {"text/markdown": "**F1** is 0.9"}),
        png,
    ]
    notebook.cells.insert(1, new_markdown_cell("## What we have\n\n### In detail\n\n## What we lack"))
    notebook.metadata["cgdseg"] = {"provenance": PROVENANCE, **about}
    path = paths.executed_dir("toy") / f"{name}{ending}"
    write_atomic(path, nbformat.writes(notebook))
    return path


class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.tags, self.text = [], path.read_text()
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]
