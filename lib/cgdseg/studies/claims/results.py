"""Checks against trained runs, and against what benchmarks/ measured once.

Where a config has stand-ins in place of the data sets, their number stands beside the claim and decides nothing."""

import numpy as np
import pandas as pd
from torch._dynamo.backends.registry import get_default_backend

from cgdseg.paths import RESULTS
from cgdseg.studies.anatomy import measured
from cgdseg.studies.claims.evidence import Evidence
from cgdseg.studies.claims.ledger import Found
from cgdseg.studies.phrasing import in_points

POOLED = "pooled f1"  # the slides' IoU of a test set is F1 / (2 - F1) to the last digit, as for all pixels together


def _rows(evidence: Evidence, condition: str, dataset: str | None) -> pd.DataFrame:
    """Rows of the summary for CGDSeg's runs of a condition: one test set, or their synthetic validation eyes."""
    cfg, table = evidence.cfg, evidence.summary
    label = cfg.label(dataset or "SynCROI") if (dataset or "SynCROI") in cfg.datasets else None
    part = "test" if dataset else "val"
    chosen = table[table.system.isin(list(cfg.cgdsegs())[:1]) & (table.condition == condition)]
    return chosen[(chosen.part == part) & (chosen.dataset == label)]


def _basis(evidence: Evidence, *datasets: str) -> str:
    return "computed" if all(map(evidence.is_real, datasets)) else "stand-in"


def pooled_score(evidence: Evidence, condition: str, dataset: str | None = None) -> Found:
    """Pooled F1 of our CGDSeg, trained on the condition; on synthetic validation eyes where no test set is named."""
    rows = _rows(evidence, condition, dataset)
    if rows.empty:
        return Found(None, f"no run of condition {condition} is scored here", "nothing")
    value = rows[POOLED].mean()
    where = rows.dataset.iloc[0]
    low, high = rows.low.mean(), rows.high.mean()
    interval = "" if np.isnan(low) else f", {low:.3f} to {high:.3f}"
    images = f"{rows.f1.mean():.4f} as a mean over {rows.images.iloc[0]} images{interval}"
    said = f"{' and '.join(rows.run)} on {where}: {value:.4f} pooled, {images}"
    return Found(float(value), said, _basis(evidence, "SynCROI", dataset or "SynCROI"))


def change(evidence: Evidence, dataset: str | None = None) -> Found:
    """Our mixed run minus our synthetic one, pooled F1, in points."""
    before, after = (_rows(evidence, condition, dataset) for condition in ("synthetic", "mixed"))
    if before.empty or after.empty:
        return Found(None, "a run of synthetic or mixed is missing here", "nothing")
    value = 100 * (after[POOLED].mean() - before[POOLED].mean())
    said = f"{value:+.1f} points on {before.dataset.iloc[0]}"
    return Found(float(value), said, _basis(evidence, "SynCROI", dataset or "SynCROI"))


def gap_share_closed(evidence: Evidence, dataset: str) -> Found:
    """Share by which the gap to a test set is smaller for our mixed run than for our synthetic one, in per cent."""
    gaps = []
    for condition in ("synthetic", "mixed"):
        home, away = (_rows(evidence, condition, where)[POOLED].mean() for where in (None, dataset))
        gaps.append(home - away)
    if any(map(np.isnan, gaps)):
        return Found(None, "a run of synthetic or mixed is missing here", "nothing")
    said = f"the gap goes from {100 * gaps[0]:.1f} to {100 * gaps[1]:.1f} points"
    return Found(float(100 * (1 - gaps[1] / gaps[0])), said, _basis(evidence, "SynCROI", dataset))


def identity_on_images(evidence: Evidence) -> Found:
    """IoU = F1 / (2 - F1) on every image that our runs were scored on."""
    scores = evidence.scores
    if scores.empty:
        return Found(None, "nothing is scored here", "nothing")
    worst = (scores.iou - scores.f1 / (2 - scores.f1)).abs().max()
    above = (evidence.summary.iou - evidence.summary.f1 / (2 - evidence.summary.f1)).max()
    said = f"over {len(scores):,} scored images it is off by {worst:.0e} at most"
    return Found(bool(worst < 1e-9), f"{said}; a mean IoU over images lies up to {above:.3f} above that of the mean F1")


def language_helps(evidence: Evidence) -> Found:
    """Study of benchmarks/transfer.py: F1 with language minus F1 with random text, in the slides' form."""
    study = pd.read_csv(RESULTS / "transfer-grounding.csv")
    row = measured.transfer(study, {"anchor": "random"}).iloc[0]
    said = f"{in_points(row.change, row.low, row.high)} over {row.seeds} seeds, small CGDSeg trained and scored on"
    return Found(bool(row.low > 0), f"{said} rendered eyes", "stand-in")


def needs(evidence: Evidence, what_it_takes: str) -> Found:
    """Not tested here; what it takes stands beside it."""
    return Found(None, what_it_takes, "nothing")


def milliseconds(evidence: Evidence) -> Found:
    """Time of one image on CUDA; what benchmarks/inference.py measured on a CPU stands beside it."""
    result = measured.measured("inference")
    times = result["ms_an_image"]
    slow, fast = times["theirs"], min(times.values())
    said = f"it needs a CUDA device; {result['machine']}: {slow:.0f} ms as the slides' code does it, {fast:.0f} at best"
    return Found(None, said, "nothing")


def compiler(evidence: Evidence, name: str) -> Found:
    """The backend that torch.compile takes when none is named, and whether it is registered at all."""
    default = get_default_backend()
    said = f"where no backend is named, as here, it takes {default}; XLA is another one, which has to be asked for"
    return Found(bool(default == name), said)
