"""What a notebook shows, on a page and in JupyterLab, where links start elsewhere and no stylesheet is ours."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from cgdseg import loops, paths
from cgdseg.report.outputs import Outputs


@pytest.fixture
def out(tiny_config) -> Outputs:
    return Outputs(tiny_config, "04_evaluation")


def html(out) -> list[str]:
    figure, axis = plt.subplots()
    axis.plot([1, 2])
    table = pd.DataFrame({"set": ["MASD stand-in"], "f1": [0.5]})
    shown = [out.table(table, "f1", "F1"), out.figure(figure, "curve", "A line", "A line.", data="f1")]
    return [each._repr_html_() for each in shown]


def test_links_lead_from_a_page_to_its_files(out):
    for each in html(out):
        assert 'href="../tables/f1.csv"' in each and "<style>" not in each


def test_links_lead_from_an_open_notebook_to_the_same_files(out, monkeypatch, tmp_path):
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.setattr(loops, "someone_is_there", lambda: True)
    for each in html(out):
        assert 'href="../reports/tiny/tables/f1.csv"' in each
        assert "background:#fff" in each  # curves are drawn without ground, and JupyterLab may be dark
    assert paths.tables_dir("tiny").joinpath("f1.csv").is_file()


def test_intervals_of_few_people_are_said_to_be_rough(out):
    """At the table, and at a figure of it; not without intervals, nor from twenty people on."""
    few = pd.DataFrame({"f1": [0.5, 0.6], "low": [0.4, 0.5], "high": [0.6, 0.7], "subjects": [8, 30]})
    figure = plt.figure()
    shown = [out.table(few, "few", "F1"), out.figure(figure, "dots", "Dots", "Dots.", data="few")]
    assert all("rest on 8 people: below 20 their ends are rough" in each._repr_html_() for each in shown)
    for name, quiet in (("many", few[few.subjects == 30]), ("alone", few.assign(low=None)), ("none", few[["f1"]])):
        assert "rough" not in out.table(quiet, name, "F1")._repr_html_()
    low = pd.DataFrame({"change": [0.1], "change low": [0.0], "people tested": [8]})
    assert "rough" in out.table(low, "changes", "Changes")._repr_html_()


def test_the_index_is_told_where_a_figure_s_numbers_are(out):
    html(out)
    assert next(words["data"] for key, words in out.shown.items() if key.endswith("curve.svg")) == "f1.csv"


def test_words_about_a_training_s_figure_find_it(tiny_config):
    out = Outputs(tiny_config, "03_training", tiny_config.runs()[0])
    html(out)
    out.prose("It is low.", about="curve")
    assert [words["reading"] for words in out.shown.values() if "reading" in words] == ["It is low."]


def test_words_about_nothing_are_refused(out):
    html(out)
    assert out.prose("It is *low*.", about="curve").markdown == "It is *low*."
    assert next(words for key, words in out.shown.items() if key.endswith("curve.svg"))["reading"] == "It is *low*."
    out.prose("And flat.", about="curve")
    assert next(words for key, words in out.shown.items() if key.endswith("curve.svg"))["reading"].endswith("And flat.")
    with pytest.raises(ValueError, match="nothing called headline was shown"):
        out.prose("It is low.", about="headline")
