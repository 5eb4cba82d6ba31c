"""A gallery of test images to filter, with their errors coloured.

browse(cfg, scores of evaluation) -> a widget, or None where the notebook runs by itself."""

import io
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import pandas as pd

from cgdseg import live, plots
from cgdseg.browser import parts
from cgdseg.config import Config
from cgdseg.evaluation import predict_cases, trained_runs

if TYPE_CHECKING:
    import ipywidgets

ANY = "any"
ORDERS = {"worst first": True, "best first": False}


def browse(cfg: Config, scores: pd.DataFrame, n: int = 6) -> "ipywidgets.Widget | None":
    """Menus of run, dataset, gaze and order above the n test images that they choose, with their errors coloured."""
    if not live.someone_is_there():
        return None
    import ipywidgets

    test, runs = scores[scores.part == "test"], {run.name: run for run in trained_runs(cfg)}
    options = {"run": list(runs), "dataset": [ANY, *test.label.unique()], "gaze": [ANY, *_told(test.gaze)]}
    menus = {name: parts.menu(name, o) for name, o in {**options, "order": list(ORDERS)}.items()}
    picture, words = ipywidgets.Image(format="png"), ipywidgets.HTML()

    def show(_change=None) -> None:
        chosen = choose(test, **{name: menu.value for name, menu in menus.items()}, n=n)
        words.value = f"{len(chosen)} images" if len(chosen) else "no such image"
        cases = predict_cases(cfg, runs[menus["run"].value], chosen)
        picture.value = _png(plots.case_gallery(cases)) if cases else b""

    for menu in menus.values():
        menu.observe(show, names="value")
    show()
    return ipywidgets.VBox([parts.row(*menus.values()), words, picture])


def choose(test: pd.DataFrame, run: str, dataset: str, gaze: str, order: str, n: int) -> pd.DataFrame:
    """The first n rows that fit, by F1; adds `case`, which `evaluation.predict_cases` writes over a picture."""
    fits = test.run == run
    for column, value in (("label", dataset), ("gaze", gaze)):
        if value != ANY:
            fits &= test[column] == value
    return test[fits].sort_values("f1", ascending=ORDERS[order]).head(n).assign(case="")


def _told(values: pd.Series) -> list[str]:
    return sorted(value for value in values.unique() if value)


def _png(figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    plt.close(figure)
    return buffer.getvalue()
