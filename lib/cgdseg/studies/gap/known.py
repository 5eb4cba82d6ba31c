"""What the method of `attribution` is worth, where the truth is known because the renderer made it.

known_gaps: one factor of rendered eyes is changed and nothing else. true_parts: the gap between two stand-ins, shared
out by giving rendered eyes the target's look, one group of factors after the other. Points are F1 lost."""

import itertools
from collections.abc import Iterable

import cv2
import numpy as np
import pandas as pd

from cgdseg import loops
from cgdseg.config import Config, Dataset, Size
from cgdseg.data.images import encoded, resize_image, resize_labels
from cgdseg.data.standins import plan, stand_in_factors
from cgdseg.eyes import render_eye
from cgdseg.eyes.factors import Factors
from cgdseg.eyes.looks import LOOKS
from cgdseg.labels import SCLERA
from cgdseg.scoring.intervals import Sample, estimate
from cgdseg.studies.gap.attribution import Coalitions, Eyes, Predict, f1_of, points_of, take_apart
from cgdseg.studies.gap.moves import MovedEye

STORED: Size = (300, 400)  # rendered at a stand-in's size and then shrunk, as the eyes that a run sees
KNOWN = {  # factor -> what the renderer changes for it, and nothing else
    "resolution": {"eye_width": (0.4, 0.5)},
    "colour": {"saturation": (0.2, 0.3)},
    "exposure": {"exposure": (1.4, 1.5)},
    "reflections": {"reflections": (6.0, 8.0), "reflection_size": (0.3, 0.36)},
    "blur": {"blur": (2.0, 2.4)},
    "noise": {"noise": (3.5, 4.0)},
    "gaze mix": {"free_yaw": (30, 45), "free_straight": 0.0},
    "sclera fraction": {"opening": (0.4, 0.5)},
}
ESTIMATED = ["estimated", "estimated low", "estimated high", "target people"]
REST = "skin, hair and tissue"  # and whatever else the renderer knows
PARTS = {  # part of a gap -> the renderer's groups of factors, and those of `attribution` that ought to find it
    "framing": (("crop",), ("resolution",)),
    "light": (("illuminant", "shading"), ("colour", "exposure")),
    "reflections": (("reflections",), ("reflections",)),
    "lens and sensor": (("degradation",), ("blur", "noise")),
    "gaze and lids": (("gaze", "geometry"), ("gaze mix", "sclera fraction")),
}


def known_gaps(predict: Predict, look: Factors, size: Size, n: int = 16, seed: int = 0) -> pd.DataFrame:
    """Take apart gaps whose only cause is known: eyes of a look, and the same eyes rendered with one factor changed.

    Returns `points_of` for each of KNOWN, under `changed`: whatever is not on that factor is in the wrong place."""
    source = _rendered(look, size, n, seed)
    tables = []
    for name, ranges in loops.bar(KNOWN.items(), desc="known gaps", leave=False):
        target = _rendered(look.model_copy(update=ranges), size, n, seed)
        tables.append(take_apart(predict, source, target, seed).assign(changed=name))
    return pd.concat(tables, ignore_index=True)


def _rendered(look: Factors, size: Size, n: int, seed: int) -> Eyes:
    eyes = [_eye(look, size, seed, i) for i in range(n)]
    return Eyes(np.stack([e.image for e in eyes]), np.stack([e.sclera for e in eyes]), np.arange(n))


def _eye(
    look: Factors, size: Size, seed: int, i: int, gaze: str | None = None, stored: Size = STORED, name: str = "eye.png"
) -> MovedEye:
    """An eye as it comes back from a file of this size and name, at the size that the model sees."""
    eye = render_eye(look, seed, i, stored, gaze=gaze)
    image = eye.image
    if not name.endswith(".png"):  # what a JPEG loses of the colours costs F1 as well
        data = np.frombuffer(encoded(name, image), np.uint8)
        image = np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])
    return MovedEye(resize_image(image, size), resize_labels(eye.labels, size) == SCLERA)


def look_of_source(cfg: Config) -> Factors:
    """The look of the source's stand-in, or that of the SynCROI stand-in where the source is no stand-in."""
    stand_ins = [cfg.datasets[name].stand_in for name in cfg.conditions[cfg.gap.condition]]
    return stand_in_factors(stand_ins[0]) if stand_ins and stand_ins[0] else LOOKS["syncroi"]


def true_parts(cfg: Config, predict: Predict, source: str, found: dict[str, Coalitions], size: Size) -> pd.DataFrame:
    """What each of PARTS truly costs between stand-ins, beside what `attribution` says; empty without stand-ins.

    source: a label of the config's datasets; found: `predict_coalitions` by label of the target. Columns: dataset,
    part, points, low, high, eyes (that were rendered, gap.images of them), then estimated, estimated low, estimated
    high, target people. The last rows are REST, beside what stays unexplained, and the gap."""
    named = {cfg.label(name): dataset for name, dataset in cfg.datasets.items()}
    tables = []
    for label, coalitions in found.items():
        if named[source].stand_in and named[label].stand_in:
            lost = swapped(predict, named[source], named[label], size, cfg.gap.images)
            guess = points_of(coalitions, {part: PARTS[part][1] for part in PARTS})
            guess = guess[guess.factor != "explained"].reset_index(drop=True)
            guess = guess[["points", "low", "high", "target people"]].set_axis(ESTIMATED, axis=1)
            tables.append(_means(lost).join(guess).assign(dataset=label))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["dataset", "part"])


def swapped(predict: Predict, source: Dataset, target: Dataset, size: Size, n: int, seed: int = 0) -> pd.DataFrame:
    """F1 that each of PARTS and REST costs each of n eyes, an eye a row, when they take the target's look in turn.

    Shapley values by sampling (Castro et al. 2009): every eye has a random order of its own and the reverse of it. An
    eye keeps its random numbers, so that only what is swapped differs; each is of another person. A commanded gaze
    belongs to the lids, the stored size to the framing, and a lossy file to lens and sensor."""
    each = loops.bar(range(n), desc="swapped looks", leave=False)
    return pd.DataFrame(
        [_swapped_eye(predict, (source, target), size, np.random.default_rng([seed, i]), i) for i in each]
    )


def _swapped_eye(
    predict: Predict, sides: tuple[Dataset, Dataset], size: Size, rng: np.random.Generator, i: int
) -> dict:
    looks = [stand_in_factors(side.stand_in) for side in sides]
    items = [rng.choice(plan(side.layout, side.stand_in)) for side in sides]
    order = [*rng.permutation([*PARTS, REST])]
    walks = [[frozenset(way[:k]) for k in range(len(way) + 1)] for way in (order, order[::-1])]
    teams = list(dict.fromkeys(itertools.chain(*walks)))
    eyes = []
    for team in teams:
        gaze, name = items["gaze and lids" in team].gaze, items["lens and sensor" in team].image
        stored = sides["framing" in team].stand_in.size
        eyes.append(_eye(mixed_look(*looks, team), size, 0, i, gaze, stored, name))
    f1 = dict(zip(teams, f1_of(predict, eyes), strict=True))
    lost = [{part: f1[a] - f1[b] for a, b in itertools.pairwise(walk) for part in b - a} for walk in walks]
    return {part: (lost[0][part] + lost[1][part]) / 2 for part in (*PARTS, REST)}


def mixed_look(source: Factors, target: Factors, team: Iterable[str]) -> Factors:
    """The source's look with the parts in `team` taken from the target's; REST is all that no other part holds."""
    part_of = {group: part for part, (groups, _) in PARTS.items() for group in groups}
    groups = {name: (field.json_schema_extra or {}).get("group") for name, field in Factors.model_fields.items()}
    taken = [name for name, group in groups.items() if part_of.get(group, REST) in team]
    return source.model_copy(update={name: getattr(target, name) for name in taken})


def _means(lost: pd.DataFrame) -> pd.DataFrame:
    lost = lost.assign(gap=lost.sum(axis=1))
    found = [estimate(Sample(lost[part], lost.index)) for part in lost]
    points, (low, high) = [each.value for each in found], np.array([each.interval() for each in found]).T
    return pd.DataFrame({"part": lost.columns, "points": points, "low": low, "high": high, "eyes": len(lost)})
