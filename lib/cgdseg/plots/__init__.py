"""Every figure of the notebooks: tables or pictures in, a matplotlib Figure out; nothing is saved or shown here."""

from cgdseg.plots.comparison import score_against_cost, verdicts_by_slide
from cgdseg.plots.curves import precision_recall, reliability, threshold_sweep
from cgdseg.plots.data import (
    augmentations,
    colour_scatter,
    contact_sheet,
    copies_and_strangers,
    distributions,
    entries,
)
from cgdseg.plots.factors import differences, factors, people
from cgdseg.plots.gap import blame, changes, factor_bars, feature_map, gap_chart, remedies_and_people
from cgdseg.plots.leakage import leakage
from cgdseg.plots.model import (
    artefacts,
    cost_curves,
    energy_picture,
    key_maps,
    stage_features,
    stage_pictures,
    token_picture,
)
from cgdseg.plots.scores import case_gallery, release_picture, score_dots, showcase
from cgdseg.plots.style import bars, gallery
from cgdseg.plots.training import training_curves

__all__ = [
    "artefacts",
    "augmentations",
    "bars",
    "blame",
    "case_gallery",
    "changes",
    "colour_scatter",
    "contact_sheet",
    "copies_and_strangers",
    "cost_curves",
    "differences",
    "distributions",
    "energy_picture",
    "entries",
    "factor_bars",
    "feature_map",
    "factors",
    "gallery",
    "gap_chart",
    "key_maps",
    "leakage",
    "people",
    "precision_recall",
    "release_picture",
    "remedies_and_people",
    "reliability",
    "score_against_cost",
    "score_dots",
    "showcase",
    "stage_features",
    "stage_pictures",
    "threshold_sweep",
    "token_picture",
    "training_curves",
    "verdicts_by_slide",
]
