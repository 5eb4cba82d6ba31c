"""Every figure of the notebooks: tables or pictures in, a matplotlib Figure out; nothing is saved or shown here."""

from cgdseg.plots.data import augmentations, colour_scatter, contact_sheet, distributions
from cgdseg.plots.gap import blame, by_gaze, changes, factor_bars, feature_map, gap_chart, remedies_and_people
from cgdseg.plots.model import artefacts, cost_curves, energy_picture, key_maps, stage_pictures, token_picture
from cgdseg.plots.scores import case_gallery, release_picture, reliability, score_bars, showcase, threshold_sweep
from cgdseg.plots.style import bars, gallery
from cgdseg.plots.training import training_curves

__all__ = [
    "artefacts",
    "augmentations",
    "bars",
    "blame",
    "by_gaze",
    "case_gallery",
    "changes",
    "colour_scatter",
    "contact_sheet",
    "cost_curves",
    "distributions",
    "energy_picture",
    "factor_bars",
    "feature_map",
    "gallery",
    "gap_chart",
    "key_maps",
    "release_picture",
    "remedies_and_people",
    "reliability",
    "score_bars",
    "showcase",
    "stage_pictures",
    "threshold_sweep",
    "token_picture",
    "training_curves",
]
