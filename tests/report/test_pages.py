"""Pages are complete, safe and tell the truth; rendered here from executed notebooks written by hand."""

import os
import re

import numpy as np
from executed_pages import HOSTILE, PROVENANCE, Page, executed
from PIL import Image

from cgdseg import paths
from cgdseg.config import load_config
from cgdseg.figures import html as markup
from cgdseg.report import index as site
from cgdseg.report import pages


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


def test_a_page_says_which_systems_are_not_the_slides(home):
    words = "tiny is not the slides' CGDSeg: all of it learns."
    path = executed(home, provenance=PROVENANCE | {"departures": words})
    assert "tiny is not the slides" in pages.write_page(path).read_text()
    assert 'class="note"' not in pages.write_page(executed(home)).read_text()


def test_after_a_failure_pages_that_are_missing_or_old_are_written(home):
    cfg, path = load_config(home / "toy.yaml"), executed(home)
    page = paths.html_dir("toy") / "04_evaluation.html"
    for older in (None, path.stat().st_mtime - 10):
        if older:
            os.utime(page, (older, older))
        pages.write_missing(cfg)
        assert page.stat().st_mtime >= path.stat().st_mtime
    before = page.stat().st_mtime_ns
    pages.write_missing(cfg)
    assert page.stat().st_mtime_ns == before


def test_failed_page_has_a_banner(home):
    path = executed(home, ending=".failed.ipynb", fault=f"code cell 3 raised {HOSTILE}")
    page = Page(pages.write_page(path))
    assert [tag for tag in page.all("div") if tag.get("role") == "alert"]
    assert "a warning" in page.text and len(page.all("script")) == 1
    assert path.name == "04_evaluation.failed.ipynb" and "code cell 3 raised" in page.text


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
