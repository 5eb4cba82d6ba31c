"""Pages are complete, safe and tell the truth; rendered here from executed notebooks written by hand."""

import html.parser
import json
import re

import nbformat
import numpy as np
import pytest
import toys
from nbformat.v4 import new_markdown_cell, new_output
from PIL import Image

from cgdseg import paths
from cgdseg.figures import html as markup
from cgdseg.files import write_atomic
from cgdseg.report import index as site
from cgdseg.report import jobs, pages
from cgdseg.report.outputs import to_json

HOSTILE = "<script>alert(1)</script>\"'"
PROVENANCE = {"started": "2026-01-01T10:00:00+00:00", "seconds": 75.2, "commit": "abc", "versions": {"torch": "2.13.0"}}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "HOME", tmp_path)
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path / "notebooks")
    (tmp_path / "toy.yaml").write_text(f"# A toy\n# of <four> eyes.\n{toys.CONFIG}")
    return tmp_path


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


def test_page(home):
    receipt = {"outputs": {HOSTILE: "0" * 64}, "parameters": {"CONFIG": HOSTILE}, "recipe": {"code": "1" * 64}}
    receipt["reads"] = {"data/cache/toy/manifest.csv": "2" * 64}
    page = Page(pages.write_page(executed(home, receipt=receipt)))
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("nav")) == 1
    assert page.all("html") == [{"lang": "en"}]
    links = [link["href"] for link in page.all("a") if link["href"].startswith("#")]
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {"#What-we-have", "#In-detail", "#What-we-lack", "#provenance"} <= set(links)
    assert {link[1:] for link in links} <= ids
    assert all(image["alt"] for image in page.all("img")) and "An eye" in page.text
    assert "<strong>F1</strong>" in page.text and "1 min 15 s" in page.text
    assert "1 files read" not in page.text and "1 file read, with SHA-256" in page.text and "2" * 12 in page.text
    assert "a warning" not in page.text and "alert" not in page.all("details")


def test_pages_need_no_network_and_run_no_foreign_script(home):
    executed(home, receipt={"outputs": {HOSTILE: "0"}, "parameters": {"CONFIG": HOSTILE}, "run": HOSTILE})
    page = Page(pages.write_page(paths.executed_dir("toy") / "04_evaluation.ipynb"))
    index = Page(site.write_index(home / "toy.yaml"))
    for each in (page, index):
        assert len(each.all("script")) == 1 and each.all("script")[0] == {}
        sources = [tag.get("src", tag.get("href", "")) for _, tag in each.tags]
        assert not [source for source in sources if re.match(r"https?:|//", source)]
        assert "@import" not in each.text and "url(" not in each.text
        policy = next(tag["content"] for tag in each.all("meta") if "http-equiv" in tag)
        assert policy.startswith("default-src 'none'") and "script-src 'sha256-" in policy


def test_failed_page_has_a_banner(home):
    path = executed(home, ending=".failed.ipynb", fault=f"code cell 3 raised {HOSTILE}")
    page = Page(pages.write_page(path))
    assert [tag for tag in page.all("div") if tag.get("role") == "alert"]
    assert "a warning" in page.text and len(page.all("script")) == 1
    assert path.name == "04_evaluation.failed.ipynb" and "code cell 3 raised" in page.text


def test_index(home):
    table = paths.tables_dir("toy") / "headline_scores.csv"
    write_atomic(table, f"system,F1\nunet,0.8512\n{HOSTILE.replace(chr(34), '')},0.2\n")
    name = "reports/toy/tables/headline_scores.csv"
    receipt = {"outputs": {name: "0"}, "shown": {name: {"caption": "F1 by system", "reading": "It is **low**."}}}
    executed(home, receipt=receipt)
    run = {"SYSTEM": "unet", "CONDITION": "synthetic", "SEED": 1}
    toys.write_notebook(home / "notebooks/03_training.ipynb", parameters=run)
    this = jobs.make_job("04_evaluation", home / "toy.yaml")
    write_atomic(this.receipt, to_json(receipt))
    page = Page(site.write_index(home / "toy.yaml"))
    assert "A toy of &lt;four&gt; eyes." in page.text and "F1 by system" in page.text and "0.8512" in page.text
    assert "It is <strong>low</strong>." in page.text
    assert page.text.count("not run yet") == 4  # two seeds of the training, among the trainings and the notebooks
    assert "stand-ins" in page.text and "eyes (4)" in page.text
    links = [link["href"] for link in page.all("a")]
    assert "html/04_evaluation.html" in links and len(page.all("script")) == 1
    assert json.loads(this.receipt.read_text()) == receipt


def test_index_begins_with_what_failed(home):
    executed(home, ending=".failed.ipynb", fault=f"code cell 3 raised {HOSTILE}")
    page = Page(site.write_index(home / "toy.yaml"))
    assert [tag for tag in page.all("div") if tag.get("role") == "alert"] and len(page.all("script")) == 1
    assert page.text.index("code cell 3 raised &lt;script&gt;") < page.text.index('id="notebooks"')
    assert "html/04_evaluation.failed.html" in [link["href"] for link in page.all("a")]


def test_index_has_a_row_a_training_with_its_scores(home):
    run = {"SYSTEM": "unet", "CONDITION": "synthetic", "SEED": 1}
    columns = "run,dataset,F1,low,high,images"
    lines = ["unet-synthetic-1,MASD,0.81,0.7,0.9,12", "unet-synthetic-2,MASD,0.7,,,12"]
    write_atomic(paths.tables_dir("toy") / site.SCORES_CSV, "\n".join([columns, *lines]))
    executed(home, "03_training", ".unet-synthetic-1.ipynb")
    toys.write_notebook(home / "notebooks/03_training.ipynb", parameters=run)
    page = Page(site.write_index(home / "toy.yaml"))
    rows = [row["data-run"] for row in page.all("tr") if "data-run" in row]
    assert rows == ["unet-synthetic-1", "unet-synthetic-2"]
    assert "0.8100 (0.700–0.900; 12 images)" in page.text and "0.7000 (12 images)" in page.text
    assert {cell.get("data-value") for cell in page.all("td")} >= {"0.81", "0.7", "75.2", ""}
    assert "html/03_training.unet-synthetic-1.html" in [link["href"] for link in page.all("a")]


def test_figures_hold_their_pictures_and_lead_to_their_numbers(tmp_path):
    paths_of = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths_of:
        Image.fromarray(np.full((4, 6, 3), 128, np.uint8)).save(path)
    html = markup.figure_html(paths_of[0], HOSTILE, HOSTILE, data="../tables/a.csv", full="../figures/a.png")
    assert "data:image/webp;base64," in html and "<script>" not in html
    assert 'href="../tables/a.csv"' in html and 'href="../figures/a.png"' in html
    both = markup.compare_html(*paths_of, "two eyes", HOSTILE)
    assert "<script>" not in both
    assert both.count("<img") == 2 and both.count("data-over") == 1 and 'type="range"' in both


def test_duration():
    assert [pages.duration(s) for s in (None, 5.4, 75, 7300)] == ["", "5 s", "1 min 15 s", "2 h 1 min"]
