"""Notebook 5 in words, put together from its tables. A frame in, Markdown out; points are hundredths of F1."""

import numpy as np
import pandas as pd

from cgdseg.studies.phrasing import in_points

MEASURES = {"mmd2": "MMD²", "a_distance": "the proxy A-distance", "frechet": "the Fréchet distance"}
CLOSE = 0.25  # of a gap: an estimate this near to it is called right
LITTLE = 0.005  # half a point: what is smaller is not worth a sentence


def read_gaps(gaps: pd.DataFrame) -> str:
    """`domains.domain_gap`."""
    if gaps.empty:
        return "The config has no real test set, so there is no gap to measure."
    widest, narrowest = gaps.loc[gaps.gap.idxmax()], gaps.loc[gaps.gap.idxmin()]

    def words(row: pd.Series) -> str:
        home, away = 100 * row["validation f1"], 100 * row["test f1"]
        scored = f"{home:.1f} % at home, {away:.1f} % there"
        return f"{row.run} on {row.dataset}, {in_points(row.gap, row.low, row.high)}: {scored}"

    unsure = int((~(gaps.low > 0)).sum())
    text = f"The widest gap is that of {words(widest)}. The narrowest is that of {words(narrowest)}. "
    if unsure == 0:
        return text + "None of the intervals includes zero."
    return text + f"For {unsure} of {len(gaps)} the interval includes zero, so there may be no gap at all."


def read_closed(closed: pd.DataFrame) -> str:
    """`domains.gap_closed`."""
    if closed.empty:
        return "Only one condition is trained, so there is nothing to compare: run notebook 3 with another CONDITION."
    lines = []
    for _, row in closed.iterrows():
        change = in_points(row.change, row["change low"], row["change high"])
        share = "a share is undefined, because the gap's interval includes zero"
        if pd.notna(row["share won back"]):
            low, high = 100 * row["share low"], 100 * row["share high"]
            share = f"{100 * row['share won back']:.0f} % of the gap ({low:.0f} to {high:.0f} %)"
        lines.append(f"- {row.system}, {row.condition} on {row.dataset}: {change}, {share}")
    return "\n".join(lines)


def read_distances(table: pd.DataFrame, gaps: pd.Series) -> str:
    """`shift.compare_domains`, with the gap of each dataset beside it (`gaps`, by dataset)."""
    lines = []
    for row in table[table.p.notna()].itertuples():
        beyond = [words for name, words in MEASURES.items() if getattr(row, name) > table[f"{name} limit"].iloc[0]]
        what = f"{', '.join(beyond)} beyond chance" if beyond else "nothing beyond chance"
        gap = f"; the gap there is {100 * gaps[row.second]:.1f} points" if row.second in gaps else ""
        numbers = f"MMD² {row.mmd2:.3f}, p = {row.p:.2g}; A-distance {row.a_distance:.2f}; {row.people} people"
        lines.append(f"- {row.second}: {what} ({numbers}){gap}.")
    if len(lines) > 1:
        far, lost = table.set_index("second").mmd2.drop(table.second.iloc[0]), gaps.reindex(table.second.iloc[1:])
        agree = far.idxmax() == lost.idxmax()
        lines.append(
            f"\nThe farthest set by MMD² is {far.idxmax()}, the widest gap that of {lost.idxmax()}: "
            + ("distance and loss agree here." if agree else "distance in features does not tell how much is lost.")
        )
    return "\n".join(lines) or "There are too few people for a test."


def read_factors(table: pd.DataFrame) -> str:
    """`attribution.points_of` of several test sets, under `dataset`."""
    lines = []
    for name, rows in table.groupby("dataset", sort=False):
        rows = rows.set_index("factor")
        gap, rest = rows.loc["gap"], rows.loc["unexplained"]
        single = rows.drop(["gap", "unexplained", "explained"])
        sure = single[((single.low > 0) | (single.high < 0)) & (single.points.abs() >= LITTLE)]
        most = sure.sort_values("points", ascending=False, key=abs).head(3)
        parts = [f"{factor} {in_points(row.points, row.low, row.high)}" for factor, row in most.iterrows()]
        told = f"What can be told from zero, largest first: {'; '.join(parts)}." if parts else "No factor stands out."
        share = f" ({100 * rest.share:.0f} % of it)" if pd.notna(rest.share) else ""
        lines.append(
            f"- {name}: the gap is {in_points(gap.points, gap.low, gap.high)}, from {_counted(gap, 'source')} to "
            f"{_counted(gap, 'target')}. {told} "
            f"Unexplained: {in_points(rest.points, rest.low, rest.high)}{share}."
        )
    return "\n".join(lines)


def _counted(row: pd.Series, side: str) -> str:
    return f"{row[f'{side} images']} eyes of {row[f'{side} people']} people"


def read_blame(table: pd.DataFrame) -> str:
    """`known.known_gaps`: of each gap whose cause is known, the points on that cause, on others and on nothing."""
    lines, right, much, little, silent = [], [], [], [], []
    for changed, rows in table.groupby("changed", sort=False):
        rows = rows.set_index("factor")
        gap, rest, own = rows.points["gap"], rows.points["unexplained"], rows.loc[changed]
        others = rows.points.drop(["gap", "unexplained", "explained", changed]).abs()
        if max(abs(gap), abs(own.points), others.max()) < 2 * LITTLE:
            silent.append(changed)
            continue
        lines.append(
            f"- changing {changed} costs {100 * gap:+.1f} points: {in_points(own.points, own.low, own.high)} are put "
            f"on it, {100 * others.sum():.1f} (of either sign) on other factors; {100 * rest:+.1f} stay unexplained."
        )
        share = own.points / gap if abs(gap) >= 2 * LITTLE else np.inf
        kind = right if abs(share - 1) <= CLOSE else much if share > 1 else little
        kind.append(f"{changed} ({100 * share:.0f} %)" if np.isfinite(share) else f"{changed} (there is hardly a gap)")
    if not lines:
        return "None of the changes costs this run a point, so nothing can be told."
    kinds = {"about right": right, "too much": much, "too little": little}
    said = "; ".join(f"{kind} for {', '.join(names)}" for kind, names in kinds.items() if names)
    quiet = f" Changing {' or '.join(silent)} costs this run less than a point, which tells nothing." if silent else ""
    return "\n".join(lines) + (
        f"\n\nShare of a gap that is put on the factor that made it, on {table['target images'].iloc[0]} eyes: "
        f"{said}. About right means within {100 * CLOSE:.0f} % of the gap.{quiet}"
    )


def read_truth(table: pd.DataFrame) -> str:
    """`known.true_parts`: what the estimate finds, what it misses, and where it is wrong."""
    if table.empty:
        return (
            "Source and test sets are not all rendered, so nobody knows what their gaps truly consist of: "
            "how far the estimate can be trusted is only told by the changes above."
        )
    lines = []
    for name, rows in table.groupby("dataset", sort=False):
        gap, rest, parts = rows.iloc[-1], rows.iloc[-2], rows.iloc[:-2]
        apart = parts[(parts["estimated high"] < parts.low) | (parts["estimated low"] > parts.high)]
        wrong = [
            f"{row.part} (estimated {in_points(row.estimated, row['estimated low'], row['estimated high'])}, truly "
            f"{in_points(row.points, row.low, row.high)})"
            for _, row in apart.iterrows()
        ]
        lines.append(
            f"- {name}: between the looks lie {in_points(gap.points, gap.low, gap.high)}, on {gap.eyes} rendered eyes. "
            f"The parts that factors stand for truly cost {100 * parts.points.sum():+.1f}; the estimate finds "
            f"{100 * parts.estimated.sum():+.1f}. {rest.part.capitalize()}, which no factor stands for, truly cost "
            f"{in_points(rest.points, rest.low, rest.high)}; {100 * rest.estimated:+.1f} stay unexplained. "
            f"Intervals of truth and estimate lie apart for {'; '.join(wrong) or 'no part'}."
        )
    return "\n".join(lines)


def read_temperature(table: pd.DataFrame) -> str:
    """The calibration part of `remedies.compare_remedies`."""
    words = [f"from {row['error']:.3f} to {row['error after']:.3f} on {row['label']}" for _, row in table.iterrows()]
    better = int((table["error after"] < table["error"]).sum())
    return (
        f"The source's validation eyes ask for a temperature of {table.temperature.iloc[0]:.2f}. It moves the "
        f"calibration error {', '.join(words)}: better on {better} of {len(table)} sets. "
        "F1 at a threshold of one half stays as it is."
    )


def read_remedies(table: pd.DataFrame, ladder: pd.DataFrame, level: float = 0.05) -> str:
    """`remedies.remedy_changes` and `ladder.summary`: the best of each kind, and the people that do as much.

    What can be told from chance has an adjusted p (Holm) below `level`."""
    lines = []
    for name, rows in table[table.remedy != "none"].groupby("dataset", sort=False):
        parts = []
        for looks_at, kind in rows.groupby("looks_at", sort=False):
            best = kind.loc[kind.change.idxmax()]
            sure = "" if best["p (Holm)"] < level else f", which may be chance as the best of {len(rows)}"
            helps = f"{best.remedy}, {in_points(best.change, best.low, best.high)}{sure}"
            what = helps if best.change > 0 else "none helps"
            parts.append(f"at {looks_at}: {what}")
        people = _people(ladder[ladder.dataset == name], level)
        lines.append(f"- {name}. Best of what looks {'; '.join(parts)}. {people}")
    return "\n".join(lines)


def _people(ladder: pd.DataFrame, level: float) -> str:
    """What real people bring over as many steps without them."""
    tried = ladder.drop_duplicates("people")
    tried = tried[tried.people > 0]
    if tried.empty:
        return "There is no real person to train on who is not tested."
    most, sure = tried.iloc[-1], tried[(tried["p (Holm)"] < level) & (tried.change > 0)]
    text = (
        f"With {most.people} real people in training F1 moves by "
        f"{in_points(most.change, most['change low'], most['change high'])} over as many steps without them; "
    )
    if sure.empty:
        return f"{text}of {len(tried)} numbers of people none can be told from nobody."
    first = sure.iloc[0]
    fewest = in_points(first.change, first["change low"], first["change high"])
    own = "" if first.people == most.people else f": {fewest}"
    return f"{text}the fewest of {len(tried)} numbers of people that can be told from nobody are {first.people}{own}."
