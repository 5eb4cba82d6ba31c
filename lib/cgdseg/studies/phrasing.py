"""How every study words a difference of F1: a value and its interval in, points of a hundred out."""

import pandas as pd


def in_points(value: float, low: float, high: float) -> str:
    """A difference in points with its interval, where there is one."""
    between = f" ({100 * low:+.1f} to {100 * high:+.1f})" if pd.notna(low) else ""
    return f"{100 * value:+.1f} points{between}"
