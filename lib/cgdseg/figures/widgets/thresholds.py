"""A slider of the threshold, with what each value would score and the mask that it would cut out of one eye.

slide(cfg, test scores, F1 by threshold, precision and recall by threshold) -> a widget, or None where the notebook
runs by itself. Scores come from the tables; only the eye in sight is predicted, once."""

import numpy as np
import pandas as pd

from cgdseg import loops
from cgdseg.config import Config
from cgdseg.data.drawing import errors
from cgdseg.figures.html import table_html
from cgdseg.figures.widgets import parts
from cgdseg.figures.widgets.parts import MenuPicture, Widget
from cgdseg.scoring.metrics import count_pixels, ratio, scores
from cgdseg.scoring.tally import THRESHOLDS
from cgdseg.studies.scores.cases import Case, predict_cases
from cgdseg.training.runs import trained_runs

GAIN_WORDS = "points against {:g}"


def slide(cfg: Config, test: pd.DataFrame, sweep: pd.DataFrame, curves: pd.DataFrame) -> Widget | None:
    """Menus of run, dataset and eye, a slider of the threshold, and below them scores and the eye.

    test: rows of `Tables.scores`; sweep: of `Tables.sweep`; curves: `scores.tables.curves`; more runs do not harm."""
    if not loops.someone_is_there():
        return None
    import ipywidgets

    runs, in_use = {run.name: run for run in trained_runs(cfg)}, cfg.evaluation.threshold
    gain = GAIN_WORDS.format(in_use)
    run, dataset = parts.menu("run", list(runs)), parts.menu("dataset", list(test.label.unique()))
    eye = parts.menu("eye", eyes_of(test, run.value, dataset.value))
    eye.index = len(eye.options) // 2  # neither the worst nor the best
    options = [(f"{value:.2f}", value) for value in THRESHOLDS.tolist()]
    start = min(THRESHOLDS.tolist(), key=lambda value: abs(value - in_use))
    slider = ipywidgets.SelectionSlider(options=options, value=start, description="threshold", layout={"width": "28em"})
    slider.style = {"description_width": "initial"}
    table, picture = parts.page(), parts.page()
    known: dict[tuple, Case] = {}

    def choose(_change=None) -> None:
        before = eye.value
        with parts.quietly(show, eye):
            eye.options = eyes_of(test, run.value, dataset.value)
            same = before in dict(eye.options).values()
            eye.index = [value for _, value in eye.options].index(before) if same else len(eye.options) // 2
        show()

    def show(_change=None) -> None:
        key = run.value, eye.value
        if key not in known:
            row = test[(test.run == run.value) & (test.image_id == eye.value)].assign(case="")
            known[key] = predict_cases(cfg, runs[run.value], row)[0]
        scored = at_threshold(sweep, curves, run.value, slider.value, in_use)
        scored[gain] = scored[gain].map("{:+.1f}".format)  # as many digits wherever the slider stands
        table.value = table_html(scored, f"{run.value} at the threshold {slider.value:.2f}")
        picture.value = eye_html(known[key], slider.value)

    for menu in (run, dataset):
        menu.observe(choose, names="value")
    for control in (eye, slider):
        control.observe(show, names="value")
    show()
    return ipywidgets.VBox([parts.row(run, dataset, eye), slider, table, picture])


def eyes_of(test: pd.DataFrame, run: str, dataset: str) -> list[tuple[str, str]]:
    """Some eyes of a dataset for a menu, from the worst of the run to its best: (words, image id)."""
    ranked = test[(test.run == run) & (test.label == dataset)].sort_values("f1")
    return [(f"{row.image_id} (F1 {row.f1:.3f})", row.image_id) for row in parts.some(list(ranked.itertuples()))]


def at_threshold(sweep: pd.DataFrame, curves: pd.DataFrame, run: str, threshold: float, in_use: float) -> pd.DataFrame:
    """What a run scores at a threshold, a row a test set: mean F1 and how many points it gains on that in use; then
    F1, precision and recall of all pixels of the set together."""
    f1, before = (_rows(sweep, run, value).f1 for value in (threshold, in_use))
    pixels = _rows(curves, run, threshold)
    table = pd.DataFrame({"F1, mean over images": f1, GAIN_WORDS.format(in_use): 100 * (f1 - before)})
    pixels["F1"] = ratio(2 * pixels.precision * pixels.recall, pixels.precision + pixels.recall)
    return table.join(pixels[["F1", "precision", "recall"]].add_suffix(", all pixels")).reset_index()


def _rows(table: pd.DataFrame, run: str, threshold: float) -> pd.DataFrame:
    return table[(table.run == run) & np.isclose(table.threshold, threshold)].set_index("dataset")


def eye_html(case: Case, threshold: float) -> str:
    """An eye, the probabilities for it, and its errors at a threshold."""
    counts = count_pixels(case.prob[None], case.truth[None], threshold)
    found = scores(counts).iloc[0]
    words = f"F1 {found.f1:.3f}, precision {found.precision:.3f}, recall {found.recall:.3f}"
    drawn = errors(case.image, case.prob >= threshold, case.truth)
    shown = [
        MenuPicture(case.image_id, case.image, "the eye"),
        MenuPicture("probability, black 0, bright 1", case.prob, "probability of sclera at each pixel", (0, 1)),
        MenuPicture(words, drawn, f"hits and errors at {threshold:.2f}: {words}"),
    ]
    return parts.pictures(shown) + parts.words(parts.COLOURS_SAID)
