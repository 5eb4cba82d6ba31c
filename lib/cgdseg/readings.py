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
        f"{100 * (1 - found.missed()):.1f} %, of {len(more)} that were cut more {100 * beyond:.0f} %. Of {pairs:,} "
        f"pairs of different people {n:,} lie within the radius and need the second look. Of the "
        f"{len(found.likest)} nearest of these pairs the likest correlates by {likest:.2f}; of the promised copies the "
        f"least like does by {promised.alike.min():.2f}; the border is {ALIKE}."
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


def read_leakage(reported: pd.DataFrame, same: pd.DataFrame, exposure: pd.DataFrame) -> str:
    """`leakage.reported`, `same_images` and `by_exposure` in words."""
    if reported.empty:
        return "Nothing to compare: no condition of this config was trained under both protocols (splits.protocols)."
    lines = [_read_pair(row, same.loc[row.Index], exposure) for row in reported.itertuples()]
    clear = int((reported.low > 0).sum())
    start = f"As published, F1 is reported higher in {(reported.inflation > 0).sum()} of {len(reported)} cases"
    start += f"; in {clear} the interval of the inflation lies above zero." if clear else "; no interval excludes zero."
    few = int(reported["honest subjects"].min())
    caution = f" Only {few} people are tested apart: intervals from so few are too narrow." if few < 10 else ""
    return start + caution + "\n\n" + "\n".join(lines)


def _read_pair(row, same: pd.Series, exposure: pd.DataFrame) -> str:
    """One system and test set: what is reported, what changes on the same images, and what that change may be."""
    words = f"- {row.system} on {row.dataset}: the inflation is {_points(row.inflation, row.low, row.high)}. "
    words += f"On the {same.images:,} images that both are tested on it is {_points(same.change, same.low, same.high)}"
    words += f", p = {same.p:.2g}" if same.p == same.p else ""
    if not same["subjects trained on"]:
        return words + "; neither run trained on these people, so this is what more training data is worth."
    words += f"; {100 * same['images trained on']:.0f} % of these images and {100 * same['subjects trained on']:.0f} % "
    words += "of these people were in its training."
    keys = (exposure.system == row.system) & (exposure.pair == row.pair) & (exposure.dataset == row.dataset)
    image = exposure[keys & exposure["image itself low"].notna()]
    if len(image):
        seen = image.iloc[0]
        worth = _points(seen["image itself"], seen["image itself low"], seen["image itself high"])
        words += f" Where it had seen the very image, the change exceeds that where it knew the person only by {worth}."
    return words


def _points(value: float, low: float, high: float) -> str:
    interval = f" ({100 * low:+.1f} to {100 * high:+.1f})" if low == low else ""
    return f"{100 * value:+.1f} points{interval}"
