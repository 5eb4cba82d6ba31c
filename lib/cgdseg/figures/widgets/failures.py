"""A gallery of test images to filter, with their errors coloured.

browse(cfg, scores of notebook 4) -> a widget, or None where the notebook runs by itself."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cgdseg import loops
from cgdseg.config import Config
from cgdseg.data.drawing import errors
from cgdseg.figures.widgets import parts
from cgdseg.figures.widgets.parts import MenuPicture, Widget
from cgdseg.studies.scores.cases import Case, predict_cases
from cgdseg.studies.scores.tables import GAZE_NAMES
from cgdseg.training.runs import trained_runs

ANY = "any"
ORDERS = {"worst first": True, "best first": False}


def browse(cfg: Config, scores: pd.DataFrame, n: int = 6) -> Widget | None:
    """Menus of run, dataset, gaze and order above the n test images that they choose, with their errors coloured."""
    if not loops.someone_is_there():
        return None
    import ipywidgets

    test, runs = scores[scores.part == "test"], {run.name: run for run in trained_runs(cfg)}
    told = [(GAZE_NAMES.get(value, value), value) for value in sorted(filter(None, test.gaze.unique()))]
    options = {"run": list(runs), "dataset": [ANY, *test.label.unique()], "gaze": [(ANY, ANY), *told]}
    menus = {name: parts.menu(name, o) for name, o in {**options, "order": list(ORDERS)}.items()}
    words, picture = parts.page(), parts.page()

    def show(_change=None) -> None:
        fitting = choose(test, **{name: menu.value for name, menu in menus.items()})
        chosen = fitting.head(n)
        count = f"{len(chosen)} of the {len(fitting)} images that fit." if len(fitting) else "No image fits."
        words.value = parts.words(count, parts.COLOURS_SAID)
        picture.value = cases_html(predict_cases(cfg, runs[menus["run"].value], chosen) if len(chosen) else [])

    for menu in menus.values():
        menu.observe(show, names="value")
    show()
    return ipywidgets.VBox([parts.row(*menus.values()), words, picture])


def choose(test: pd.DataFrame, run: str, dataset: str, gaze: str, order: str) -> pd.DataFrame:
    """The rows that fit, by F1; adds `case`, which `scores.cases.predict_cases` writes over a picture."""
    fits = test.run == run
    for column, value in (("label", dataset), ("gaze", gaze)):
        if value != ANY:
            fits &= test[column] == value
    return test[fits].sort_values("f1", ascending=ORDERS[order]).assign(case="")


def cases_html(cases: Sequence[Case]) -> str:
    """Each case as one picture: the image, and beside it its errors in colour."""
    shown = []
    for case in cases:
        both = np.hstack([case.image, errors(case.image, case.predicted, case.truth)])
        shown.append(MenuPicture(f"{case.image_id}, {case.title}", both, f"the eye, and hits and errors: {case.title}"))
    return parts.pictures(shown, height=140)
