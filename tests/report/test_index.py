"""The index: every run, its scores, and what failed first."""

import json

import toys
from executed_pages import HOSTILE, Page, executed

from cgdseg import paths
from cgdseg.files import write_atomic
from cgdseg.report import index as site
from cgdseg.report import jobs
from cgdseg.report.outputs import to_json


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
    columns = "run,dataset,F1,low,high,images,subjects,steps"
    lines = ["unet-synthetic-1,MASD,0.81,0.7,0.9,12,6,144", "unet-synthetic-2,MASD,0.7,,,12,1,"]
    write_atomic(paths.tables_dir("toy") / site.SCORES_CSV, "\n".join([columns, *lines]))
    executed(home, "03_training", ".unet-synthetic-1.ipynb")
    toys.write_notebook(home / "notebooks/03_training.ipynb", parameters=run)
    page = Page(site.write_index(home / "toy.yaml"))
    rows = [row["data-run"] for row in page.all("tr") if "data-run" in row]
    assert rows == ["unet-synthetic-1", "unet-synthetic-2"]
    assert "0.8100 (0.700–0.900; 12 images)" in page.text and "0.7000 (12 images)" in page.text
    assert {cell.get("data-value") for cell in page.all("td")} >= {"0.81", "0.7", "75.2", "144", ""}
    assert ">nan<" not in page.text  # whose history was deleted
    assert "rest on 6 people: below 20 their ends are rough" in page.text
    assert "html/03_training.unet-synthetic-1.html" in [link["href"] for link in page.all("a")]
