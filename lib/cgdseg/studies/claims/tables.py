"""The judged ledger as tables: claims by verdict, by slide and by cause."""

import pandas as pd


def causes(judged: pd.DataFrame, verdict: str) -> pd.DataFrame:
    """The claims of one verdict (`judge.judge`), those that fall by the same finding in one row.

    Columns: claim (the first), claimed, measured, places, slide (or how many slides), found."""
    chosen = judged[judged.verdict == verdict]
    rows = []
    for _, group in chosen.groupby(["claimed", "measured", "found"], sort=False):
        first = group.iloc[0]
        slide = first.slide if group.slide.nunique() == 1 else f"{group.slide.nunique()} slides"
        row = {"claim": first.claim, "claimed": first.claimed, "measured": first.measured}
        rows.append(row | {"places": len(group), "slide": slide, "found": first.found})
    return pd.DataFrame(rows, columns=["claim", "claimed", "measured", "places", "slide", "found"])


def verdicts(judged: pd.DataFrame, order: tuple[str, ...]) -> pd.DataFrame:
    """How many claims have each verdict: verdict, claims, share (%)."""
    counts = judged.verdict.value_counts().reindex(order, fill_value=0)
    shares = 100 * counts.values / len(judged)
    return pd.DataFrame({"verdict": counts.index, "claims": counts.values, "share %": shares})


def by_slide(judged: pd.DataFrame, order: tuple[str, ...]) -> pd.DataFrame:
    """Claims by slide, in the deck's order, a column a verdict."""
    grid = judged.groupby(["slide", "verdict"], sort=False).size().unstack(fill_value=0)
    return grid.reindex(index=judged.slide.unique(), columns=list(order), fill_value=0)
