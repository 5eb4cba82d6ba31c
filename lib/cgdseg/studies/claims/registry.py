"""The registry of checks: pure functions (evidence, **args of the row) -> Found.

The first line of a check's docstring says how it tests, in the table that notebook 06 prints."""

from collections.abc import Callable

from cgdseg.studies.claims.ledger import Found

Check = Callable[..., Found]
CHECKS: dict[str, Check] = {}


def claim_check(function: Check) -> Check:
    """Register a check under its own name."""
    CHECKS[function.__name__] = function
    return function
