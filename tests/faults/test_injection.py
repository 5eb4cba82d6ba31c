"""Hostile names and labels in every place of a page where a file, a table or a notebook can put one.

Each page is rendered for real and parsed: there is no element, attribute or address in it that the same page with
harmless words has not."""

import html.parser
import json

import nbformat
import numpy as np
import pandas as pd
import pytest
import toys
from nbformat.v4 import new_output
from PIL import Image

from cgdseg import paths
from cgdseg.config import load_config
from cgdseg.figures import html as markup
from cgdseg.figures.style import gallery
from cgdseg.files import write_atomic
from cgdseg.report import index
from cgdseg.report import pages as report
from cgdseg.report.outputs import Outputs

HARMLESS = "harmless"
PAYLOADS = [
    "<script>alert(1)</script>",
    r"\<script>alert(1)</script>",
    r"\[x](javascript:alert(1))",
    '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    "<img src=//evil.example/x.png>",
    '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)",
    "</td></tr></table><h1>taken over</h1>",
    "</script><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</pre></code></details><form action=//evil.example><input>",
    "<svg/onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<style>*{display:none}</style>",
    '<meta http-equiv="refresh" content="0;url=//evil.example">',
    '<base href="//evil.example/">',
    "<!-- ",
    "]]><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "javascript:alert(1)",
    "\u202e<b>gnp.eye",
    "new\nline<b>",
    "\x1b[31m<b>red\x1b]8;;//evil.example\x07",
    "$\\bad{$<b>",
]
PLACES = ["cell", "column", "row name", "caption", "alt", "output file", "fault", "stdout", "stderr", "traceback"]
PLACES += ["text", "parameter", "run", "picture's alt", "about", "headline", "prose"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "HOME", tmp_path)
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path / "notebooks")
    return tmp_path


class Skeleton(html.parser.HTMLParser):
    """A page without its words: elements with their attributes, values only where a browser acts on them."""

    def __init__(self, page: str):
        super().__init__()
        self.parts = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag == "span" and all((value or "").startswith("ansi-") for name, value in attributes if name == "class"):
            return  # the colours of a terminal
        acts = {"src", "href", "action", "srcdoc", "style", "http-equiv", "content", "type"}
        values = [value if name in acts and not (value or "").startswith("data:") else "" for name, value in attributes]
        self.parts.append((tag, [name for name, _ in attributes], values))

    def handle_endtag(self, tag):
        self.parts += [tag] if tag != "span" else []

    def handle_comment(self, data):
        self.parts.append("comment")


def pages(home, place: str, words: str) -> list[str]:
    """The page of a notebook and the index, with `words` in one place."""

    def at(here: str) -> str:
        return words if here == place else HARMLESS

    about = "".join(f"# {line}\n" for line in at("about").replace("\x1b", "").replace("\x07", "").splitlines())
    (home / "toy.yaml").write_text(about + toys.CONFIG, encoding="utf-8")
    cfg = load_config(home / "toy.yaml")
    source = toys.write_notebook(home / "notebooks/04_evaluation.ipynb", "show()")
    out = Outputs(cfg, "04_evaluation")
    frame = pd.DataFrame({at("column"): [at("cell"), "b"], "n": [1, 2]}, index=[at("row name"), "b"])
    shown = [out.table(frame, "headline", at("caption"))]
    picture = gallery({at("cell"): [(at("cell"), np.zeros((8, 8, 3), np.uint8))]})
    shown.append(out.figure(picture, "headline_eye", at("alt"), at("caption"), svg=False))
    out.shown["reports/toy/tables/headline.csv"]["caption"] = at("headline")
    said = out.prose(f"The hardest person is {at('prose')}.", about="headline")
    notebook = nbformat.read(source, as_version=4)
    notebook.cells[-2].outputs = [
        *[new_output("display_data", {"text/html": one._repr_html_(), "text/plain": repr(one)}) for one in shown],
        new_output("display_data", {"text/markdown": said._repr_markdown_()}),
        new_output("stream", name="stdout", text=at("stdout")),
        new_output("stream", name="stderr", text=at("stderr")),
        new_output("execute_result", {"text/plain": at("text")}),
        new_output("display_data", {"image/png": "AAAA"}, metadata={"image/png": {"alt": at("picture's alt")}}),
        new_output("error", ename=at("traceback"), evalue=at("traceback"), traceback=[at("traceback")]),
    ]
    receipt = {"outputs": {**out.outputs, at("output file"): "0" * 64}, "parameters": {"CONFIG": at("parameter")}}
    receipt |= {"run": at("run"), "recipe": {}, "shown": out.shown, "reads": {}}
    notebook.metadata["cgdseg"] = {"receipt": receipt, "fault": at("fault"), "provenance": {}}
    executed = paths.executed_dir("toy") / "04_evaluation.failed.ipynb"
    write_atomic(executed, nbformat.writes(notebook))
    write_atomic(executed.with_name("04_evaluation.json"), json.dumps(receipt))
    made = report.write_page(executed), index.write_index(home / "toy.yaml")
    return [path.read_text(encoding="utf-8") for path in made]


def injected(home, place: str, payloads: list[str]) -> list[str]:
    """Payloads that changed more than words."""
    expected = [Skeleton(page).parts for page in pages(home, place, HARMLESS)]
    return [words for words in payloads if [Skeleton(page).parts for page in pages(home, place, words)] != expected]


@pytest.mark.parametrize("place", ["cell", "fault"])
def test_hostile_words_stay_words(home, place, count):
    """Three of them; the long test goes through all."""
    assert not injected(home, place, PAYLOADS[1:4])
    count("hostile word in a page", 3)


@pytest.mark.faults
@pytest.mark.parametrize("place", PLACES)
def test_every_hostile_word_in_every_place(home, place, count):
    lost = injected(home, place, PAYLOADS)
    count("hostile word in a page", len(PAYLOADS), len(lost))
    assert not lost


def test_sliders_and_links_too(tmp_path, count):
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(path)

    def parts(words):
        whole = markup.compare_html(path, path, words, words) + markup.table_html(pd.DataFrame(), words, words, "t.csv")
        return Skeleton(whole).parts

    expected = parts(HARMLESS)
    assert all(parts(words) == expected for words in PAYLOADS)
    count("hostile word in a page", len(PAYLOADS))


NAMES = ["<script>", 'a"b', "..", "1e5", "007", "a'b", "new\nline", ".hidden", "a$(id)", "a;b"]


@pytest.mark.parametrize("name", NAMES)
def test_a_config_cannot_be_called_so(tmp_path, name, count):
    path = tmp_path / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("extends: smoke")
    with pytest.raises(ValueError, match="cannot be called"):
        load_config(path)
    count("hostile name of a config", 1)
