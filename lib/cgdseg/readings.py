"""Tables in words: what a section found, put together from its numbers. A frame in, Markdown out."""

import pandas as pd


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
