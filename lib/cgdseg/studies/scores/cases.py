"""Single images to look at: which ones, what a run predicts on them, and what goes on inside it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cgdseg.config import Config, Run
from cgdseg.data.cache import open_cache
from cgdseg.models.contract import sclera_of
from cgdseg.models.inspect import trace
from cgdseg.training.runs import segmenter_of


def extremes(table: pd.DataFrame) -> pd.DataFrame:
    """The best, the median and the worst image of each dataset in a table of scores; adds `case`."""
    cases = []
    for _, group in table.groupby("label", sort=False):
        ranked = group.sort_values("f1", ascending=False)
        picked = ranked.iloc[[0, len(ranked) // 2, -1]]
        cases.append(picked.assign(case=["best", "median", "worst"]))
    return pd.concat(cases)


def random_cases(table: pd.DataFrame, n: int = 6, seed: int = 0) -> pd.DataFrame:
    """n images of each dataset in a table of scores, drawn at random; adds `case`."""
    drawn = [group.sample(min(n, len(group)), random_state=seed) for _, group in table.groupby("label", sort=False)]
    return pd.concat(drawn).assign(case="")


@dataclass(frozen=True)
class Case:
    """One image with its prediction: image (H, W, 3) uint8, prob (H, W) float32, predicted and truth (H, W) bool."""

    label: str
    title: str
    image_id: str
    image: np.ndarray
    prob: np.ndarray
    predicted: np.ndarray
    truth: np.ndarray


def predict_cases(cfg: Config, run: Run, cases: pd.DataFrame) -> list[Case]:
    """Predict chosen rows of a table of scores (`extremes`) again, to look at them."""
    segmenter = segmenter_of(cfg, run)
    pixels, truth = open_cache(cfg, segmenter.input_size), open_cache(cfg, cfg.evaluation.size)
    shown = []
    for case in cases.itertuples():
        prob = sclera_of(segmenter, [pixels.image(case.image_id)], cfg.evaluation.size)[0]
        shown.append(
            Case(
                label=case.label,
                title=f"{case.case}: F1 {case.f1:.3f}".removeprefix(": "),
                image_id=case.image_id,
                image=truth.image(case.image_id),
                prob=prob,
                predicted=prob >= cfg.evaluation.threshold,
                truth=truth.sclera([case.image_id])[0],
            )
        )
    return shown


def trace_run(cfg: Config, run: Run, image_id: str) -> tuple[np.ndarray, dict]:
    """One image (H, W, 3) at the run's input size, and every module's output on it (`inspect.trace`)."""
    segmenter = segmenter_of(cfg, run, device="cpu")  # its outputs are drawn
    pixels = open_cache(cfg, segmenter.input_size)
    image = np.array(pixels.image(image_id))
    return image, trace(segmenter.model, segmenter.to_batch([image]))
