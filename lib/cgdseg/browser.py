"""A gallery to filter while notebook 4 is open in JupyterLab; a page that nobody can click shows figures instead.

browse(cfg, scores of evaluation) -> a widget, or None where the notebook runs by itself."""

import io
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import pandas as pd
from IPython import get_ipython

from cgdseg import plots
from cgdseg.config import Config
from cgdseg.evaluation import predict_cases, trained_runs

if TYPE_CHECKING:  # importing it opens comms, which a notebook that runs by itself has no use for
    import ipywidgets

ANY = "any"
ORDERS = {"worst first": True, "best first": False}


def browse(cfg: Config, scores: pd.DataFrame, n: int = 6) -> "ipywidgets.Widget | None":
    """Menus of run, dataset, gaze and order above the n test images that they choose, with their errors coloured."""
    if not someone_is_there():
        return None
    import ipywidgets

    test, runs = scores[scores.part == "test"], {run.name: run for run in trained_runs(cfg)}
    options = {"run": list(runs), "dataset": [ANY, *test.label.unique()], "gaze": [ANY, *_told(test.gaze)]}
    menus = {name: ipywidgets.Dropdown(options=o, description=name) for name, o in options.items()}
    menus["order"] = ipywidgets.Dropdown(options=list(ORDERS), description="order")
    picture, words = ipywidgets.Image(format="png"), ipywidgets.HTML()

    def show(_change=None) -> None:
        chosen = choose(test, **{name: menu.value for name, menu in menus.items()}, n=n)
        words.value = f"{len(chosen)} images" if len(chosen) else "no such image"
        cases = predict_cases(cfg, runs[menus["run"].value], chosen)
        picture.value = _png(plots.case_gallery(cases)) if cases else b""

    for menu in menus.values():
        menu.observe(show, names="value")
    show()
    return ipywidgets.VBox([ipywidgets.HBox(list(menus.values())), words, picture])


def choose(test: pd.DataFrame, run: str, dataset: str, gaze: str, order: str, n: int) -> pd.DataFrame:
    """The first n rows that fit, by F1; adds `case`, which `evaluation.predict_cases` writes over a picture."""
    fits = test.run == run
    for column, value in (("label", dataset), ("gaze", gaze)):
        if value != ANY:
            fits &= test[column] == value
    return test[fits].sort_values("f1", ascending=ORDERS[order]).head(n).assign(case="")


def someone_is_there() -> bool:
    """Whether a reader sits in front of this kernel.

    A front-end says with every cell if it could ask its user something: JupyterLab could, papermill and nbval not."""
    return bool(getattr(getattr(get_ipython(), "kernel", None), "_allow_stdin", False))


def _told(values: pd.Series) -> list[str]:
    return sorted(value for value in values.unique() if value)


def _png(figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    plt.close(figure)
    return buffer.getvalue()
