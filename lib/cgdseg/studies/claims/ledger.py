"""The ledger of claims: data/claims.yaml -> one `Claim` a row; a claim and what was found -> a verdict.

What tests a claim stands in `judge.CHECKS`; a verdict is never typed, it follows from the two values."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cgdseg.paths import CLAIMS, short

REPRODUCED = "reproduced"
CONFIGURED = "as configured"
CONSISTENT = "self-consistent"
CONTRADICTED = "contradicted"
OTHERWISE = "configured otherwise"
INCONSISTENT = "internally inconsistent"
STAND_IN = "procedural stand-in only"
NOT_TESTABLE = "not testable here"
DEFINITIONS = {
    REPRODUCED: "measured, counted or derived here, and as claimed: on a model built after the slides, which shows "
    "that its parts fit together, on PyTorch and transformers, from definitions, or on images and scores",
    CONFIGURED: "our recipe or code, written after the slides, does as they say, which says nothing of theirs",
    CONSISTENT: "other numbers of the slides agree, or their own arithmetic comes out; nothing is measured",
    CONTRADICTED: "measured, counted or derived here, or published by the owners of the data, and otherwise",
    OTHERWISE: "our recipe departs from the slides here, which says nothing against them",
    INCONSISTENT: "other numbers of the slides, or their own arithmetic, say otherwise; no measurement is needed",
    STAND_IN: "a claim about eyes that are not here: what rendered ones gave stands beside it and decides nothing",
    NOT_TESTABLE: "it takes data sets, a machine, trainings or numbers that are not here; the finding says which",
}
VERDICTS = tuple(DEFINITIONS)

ValueRange = tuple[float, float]
Value = bool | float | str | ValueRange  # whether a statement holds; a number; a shape, a name; the least and the most
# what a finding rests on: measured, counted or derived; this repository's own settings; other numbers of the slides;
# rendered eyes only; nothing
Basis = Literal["computed", "config", "slides", "stand-in", "nothing"]
JUDGEMENTS: dict[Basis, tuple[str, str]] = {  # a finding that agrees, and one that does not
    "computed": (REPRODUCED, CONTRADICTED),
    "config": (CONFIGURED, OTHERWISE),
    "slides": (CONSISTENT, INCONSISTENT),
    "stand-in": (STAND_IN, STAND_IN),
    "nothing": (NOT_TESTABLE, NOT_TESTABLE),
}


class Claim(BaseModel):
    """One number or statement of the slides, and the check that tests it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]  # a name that formulas may use
    slide: Annotated[str, Field(min_length=1)]
    claim: Annotated[str, Field(min_length=1)]  # in the slides' own words
    value: Value
    unit: str = ""
    test: str  # a name in `judge.CHECKS`
    args: dict[str, Any] = {}
    tolerance: Annotated[float, Field(ge=0)] = 0.0  # absolute, in the claim's unit; often half of the last digit


@dataclass(frozen=True)
class Found:
    """What a check found: a value of the claim's kind or the range it may lie in, a sentence, and what it rests on."""

    value: Value | None
    said: str = ""
    basis: Basis = "computed"


def load_claims(path: Path = CLAIMS) -> list[Claim]:
    """Read the ledger, a mapping of slide titles to rows. Raises ValueError that names the row and the mend."""
    try:
        slides = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{short(path)} is not YAML: {error}") from None
    if not isinstance(slides, dict) or not all(isinstance(rows, list) for rows in slides.values()):
        raise ValueError(f"{short(path)} must hold `slide title: [rows]`")
    claims: dict[str, Claim] = {}
    for slide, rows in slides.items():
        for number, row in enumerate(rows, 1):
            claim = _read(path, slide, number, row)
            if claim.id in claims:
                raise ValueError(f"{short(path)} has two rows {claim.id}: give the one of slide {slide!r} another id")
            claims[claim.id] = claim
    return list(claims.values())


def _read(path: Path, slide: str, number: int, row: Any) -> Claim:
    name = row.get("id", f"number {number}") if isinstance(row, dict) else f"number {number}"
    try:
        if not isinstance(row, dict):
            raise ValueError("a row must be {id: ..., claim: ..., value: ..., test: ...}")
        ranged = {"value": tuple(map(float, row["value"]))} if isinstance(row.get("value"), list) else {}
        numbers = {key: float(row[key]) for key in ("value", "tolerance") if type(row.get(key)) is int}
        return Claim(slide=slide, **(row | ranged | numbers))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'row'}: {e['msg']}" for e in error.errors())
    except (TypeError, ValueError) as error:
        problems = str(error)
    raise ValueError(f"{short(path)}, slide {slide!r}, row {name}: {problems}")


def budget(counts: dict[str, int], path: Path = CLAIMS) -> pd.DataFrame:
    """Parameters counted by part beside the slides' budget: part, claimed, counted, difference (%), slide.

    counts: `cgdseg.paper_counts`. The claims are the ledger's rows `budget_...` and the total of the log."""
    rows = []
    for claim in load_claims(path):
        if claim.test == "part_parameters" and (claim.id.startswith("budget_") or claim.id == "log_total"):
            part = claim.args["part"]
            row = {"part": part, "claimed": int(claim.value), "counted": counts[part]}
            rows.append(row | {"difference %": 100 * (counts[part] / claim.value - 1), "slide": claim.slide})
    return pd.DataFrame(rows)


def distinct_tests(claims: Sequence[Claim]) -> int:
    """How many tests the rows hold: a claim that several slides repeat is tested once."""
    return len({(claim.test, repr(claim.args), claim.value) for claim in claims})


def agrees(claim: Claim, value: Value) -> bool:
    """Whether a found value is the claimed one, to the claim's tolerance; ranges agree where they meet."""
    said = claim.value
    if isinstance(said, bool | str) or isinstance(value, bool | str):
        return type(said) is type(value) and said == value
    (least, most), (low, high) = _ends(said), _ends(value)
    rounding = 1e-9 * max(abs(least), abs(most))  # of binary fractions
    return least - claim.tolerance - rounding <= high and low <= most + claim.tolerance + rounding


def _ends(value: float | ValueRange) -> ValueRange:
    return value if isinstance(value, tuple) else (value, value)


def verdict(claim: Claim, found: Found) -> str:
    """One of VERDICTS, by what the finding rests on and whether it agrees."""
    if found.value is None:
        return NOT_TESTABLE
    agreeing, otherwise = JUDGEMENTS[found.basis]
    return agreeing if agrees(claim, found.value) else otherwise


def in_words(value: Value | None, unit: str = "") -> str:
    """A value as tables print it: integers in full, other numbers to four figures."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, tuple):
        return f"{in_words(value[0])} to {in_words(value[1], unit)}"
    if isinstance(value, bool):
        return "holds" if value else "does not hold"
    if isinstance(value, str):
        return value
    whole = float(value).is_integer() and abs(value) < 1e15
    number = f"{value:,.0f}" if whole else f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{number} {unit}".strip()
