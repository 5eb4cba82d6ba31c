"""How every study words a difference of F1, and how far an interval may be trusted."""

import pandas as pd

from cgdseg.scoring.intervals import FEW_PEOPLE

UNITS = ("subjects", "honest subjects", "people tested", "target people")  # columns of how many an interval rests on


def in_points(value: float, low: float, high: float) -> str:
    """A difference in points with its interval, where there is one."""
    between = f" ({100 * low:+.1f} to {100 * high:+.1f})" if pd.notna(low) else ""
    return f"{100 * value:+.1f} points{between}"


def few_people(n: int, what: str = "people") -> str:
    """A sentence of caution, with a blank before it, where intervals rest on few people; else nothing."""
    return f" Intervals here rest on {n} {what}: below {FEW_PEOPLE} their ends are rough." if n < FEW_PEOPLE else ""


def caution(table: pd.DataFrame) -> str:
    """`few_people` of a table that has intervals: of the fewest people, or else images, that stand behind a row."""
    ends = [name for name in table if "low" in str(name).split()]
    units = [name for name in UNITS if name in table] or ["images"] * ("images" in table)
    if not ends or not units or table[ends].isna().all(axis=None):
        return ""
    fewest = int(table.loc[table[ends].notna().any(axis=1), units].min(axis=None))
    return few_people(fewest, "images" if units == ["images"] else "people")
