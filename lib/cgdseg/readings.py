"""Tables in words: what a section found, put together from its numbers. A frame in, Markdown out."""

import pandas as pd

from cgdseg.data.copies import ALIKE
from cgdseg.data.radius import Calibration


def read_search(found: Calibration) -> str:
    """What the search for near copies finds, and what it would take for one by mistake, in words."""
    promised, more = found.copies[found.copies.promised], found.copies[~found.copies.promised]
    beyond = ((more.distance <= found.radius) & (more.alike >= ALIKE)).mean()
    n, pairs = int(found.strangers[: found.radius + 1].sum()), int(found.strangers.sum())
    likest = found.likest.alike.max() if len(found.likest) else 0
    return (
        f"The radius is {found.radius} bits of 256. Of {len(promised)} copies of the promised kinds the search finds "
        f"{100 * (1 - found.missed()):.1f} %, of {len(more)} that were cut more {100 * beyond:.0f} %. Of {pairs:,} pairs "
        f"of different people {n:,} lie within the radius and need the second look. Of the {len(found.likest)} nearest of "
        f"these pairs the likest correlates by {likest:.2f}; of the promised copies the least like does by "
        f"{promised.alike.min():.2f}; the border is {ALIKE}."
    )


def read_gaps(gaps: pd.DataFrame) -> str:
    """The gap table in words."""
    widest, narrowest = gaps.loc[gaps.gap.idxmax()], gaps.loc[gaps.gap.idxmin()]

    def words(row: pd.Series) -> str:
        home, away = 100 * row["validation f1"], 100 * row["test f1"]
        return f"{row.run} on {row.dataset} (F1 {home:.1f} % at home, {away:.1f} % there)"

    return f"The widest gap is that of {words(widest)}, the narrowest that of {words(narrowest)}."


def read_transfer(table: pd.DataFrame) -> str:
    """A study of benchmarks/transfer.py (`tables.transfer`) in words."""
    base, rest, judged = table.iloc[0], table.iloc[1:], table.columns[1]
    lines = [
        f"- {row.variant}: {100 * row.change:+.1f} points ({100 * row.low:+.1f} to {100 * row.high:+.1f})"
        for row in rest.itertuples()
        if row.high < 0 or row.low > 0
    ]
    start = f"The baseline, {base.variant}, reaches F1 {base[judged]:.3f} on {judged.removesuffix(' F1')}. "
    unsure = f"For {len(rest) - len(lines)} of {len(rest)} changes the interval includes zero"
    return start + (f"{unsure}; the others:\n\n" + "\n".join(lines) if lines else f"{unsure}.")


def read_language(table: pd.DataFrame) -> str:
    """What language brings over random text in the same form of grounding (`tables.transfer`, a baseline each)."""
    helped, harmed = table[table.low > 0], table[table.high < 0]
    if helped.empty and harmed.empty:
        widest = 100 * table[["low", "high"]].abs().to_numpy().max()
        return (
            f"In none of the {len(table)} forms can language be told from random text: every interval includes zero, "
            f"and the widest reaches {widest:.1f} points."
        )
    parts = [
        f"{word} in {', '.join(rows.variant)}" for word, rows in (("helps", helped), ("harms", harmed)) if len(rows)
    ]
    return f"Against random text language {' and '.join(parts)}; the other intervals include zero."


def read_closed(closed: pd.DataFrame) -> str:
    """The table of closed gaps in words."""
    if closed.empty:
        return "Only one condition is trained, so there is nothing to compare: run notebook 3 with another CONDITION."
    lines = [
        f"- {row.system}, {row.condition} on {row.dataset}: F1 {100 * row.change:+.1f} points, "
        + (f"{100 * row.share:.0f} % of the gap" if row.before > 0 else "though there was no gap to close")
        for row in closed.rename(columns={"share won back": "share", "gap synthetic": "before"}).itertuples()
    ]
    return "\n".join(lines)
