"""The judge: claims and evidence -> a table with what was measured for each and the verdict; nothing in it is typed."""

import inspect
from collections.abc import Callable, Sequence

import pandas as pd

from cgdseg.studies.claims import architecture, arithmetic, data, gradients, results
from cgdseg.studies.claims.evidence import Evidence
from cgdseg.studies.claims.ledger import Claim, Found, in_words, verdict

Check = Callable[..., Found]
CHECKS: dict[str, Check] = {  # every function of a theme that another module may call
    name: check
    for theme in (architecture, arithmetic, data, gradients, results)
    for name, check in inspect.getmembers(theme, inspect.isfunction)
    if check.__module__ == theme.__name__ and not name.startswith("_")
}
JUDGED_COLUMNS = ["id", "slide", "claim", "claimed", "measured", "verdict", "how", "found"]
SPELLED_OUT = ("what_it_takes", "missing", "values", "pairs")  # arguments that what was found repeats


def check_of(claim: Claim) -> Check:
    """The check of a claim, its arguments tried against its signature. Raises ValueError that names the row."""
    if claim.test not in CHECKS:
        raise ValueError(f"claim {claim.id} names the test {claim.test}; there is: {', '.join(sorted(CHECKS))}")
    try:
        inspect.signature(CHECKS[claim.test]).bind(None, **claim.args)
    except TypeError as error:
        raise ValueError(f"claim {claim.id}, test {claim.test}: {error}") from None
    return CHECKS[claim.test]


def how(claim: Claim) -> str:
    """How a claim is tested: the check's first line, and the row's arguments."""
    line = inspect.getdoc(check_of(claim)).splitlines()[0].rstrip(".")
    shown = {name: value for name, value in claim.args.items() if name not in SPELLED_OUT}
    given = ", ".join(f"{name} {_plain(value)}" for name, value in shown.items())
    return f"{line}: {given}" if given else line


def _plain(value) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def judge(claims: Sequence[Claim], evidence: Evidence) -> pd.DataFrame:
    """Test every claim: id, slide, claim, claimed, measured, verdict, how, found (in words).

    Raises ValueError naming the row whose check is not known, does not take its arguments or fails."""
    rows = []
    for claim in claims:
        found = run_check(claim, evidence)
        claimed, measured = (in_words(value, claim.unit) for value in (claim.value, found.value))
        judged = claimed, measured, verdict(claim, found)
        rows.append((claim.id, claim.slide, claim.claim, *judged, how(claim), found.said))
    return pd.DataFrame(rows, columns=JUDGED_COLUMNS)


def run_check(claim: Claim, evidence: Evidence) -> Found:
    """What the check of a claim finds."""
    test = check_of(claim)
    try:
        return test(evidence, **claim.args)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"claim {claim.id}, test {claim.test}: {error!r}") from error
