"""The tables of notebook 4 in words: what a section found, put together from its numbers. A frame in, Markdown out."""

import pandas as pd

from cgdseg.studies.phrasing import in_points
from cgdseg.text import plain_text


def read_scores(summary: pd.DataFrame, best: str) -> str:
    """The test scores of `summaries.mean_scores` in words."""
    test = summary[summary.part == "test"]
    mine = test[test.run == best]
    lines = [f"{_percents(row)} on {row.dataset}, {row.subjects} people" for _, row in mine.iterrows()]
    means = test.groupby("run").f1.mean()
    sure = [
        row.dataset
        for _, row in mine.iterrows()
        if (test[(test.dataset == row.dataset) & (test.run != best)].high < row.low).all()
    ]
    flattered = "It was picked by these very scores, which flatters it." if len(means) > 1 else ""
    apart = f"Its interval lies above all others on {' and '.join(sure)}" if sure else "Its intervals meet others'"
    lowest = f"The lowest mean is that of {means.idxmin()}, {_per_cent(means.min())}."
    others = f" {apart}. {lowest}" if len(means) > 1 else ""
    return f"The highest mean F1 is that of {best}: {'; '.join(lines)}.{others} {flattered}"


def read_references(untrained: pd.DataFrame, summary: pd.DataFrame, release: str = "release") -> str:
    """What needed no training here beside what did: summaries of `summaries.mean_scores` in words."""
    test = summary[summary.part == "test"]
    naive = untrained[untrained.run != release].groupby("dataset").f1.max()
    lines = []
    for _, row in untrained[untrained.run == release].iterrows():
        mine = test[test.dataset == row.dataset]
        below = mine[mine.f1 <= naive[row.dataset]].run
        better = "every run trained here is better than that"
        words = f"no better than that: {', '.join(below)}" if len(below) else better
        lines.append(
            f"- {row.dataset}: the release model reaches {_percents(row)}, the better of the two that learned nothing "
            f"{_per_cent(naive[row.dataset])}; {words}."
        )
    return "\n".join(lines)


def read_borders(test: pd.DataFrame, best: str) -> str:
    """Distances between borders on test images (a table of scores) in words."""
    lines = []
    for name, rows in test[test.run == best].groupby("label", sort=False):
        found = rows.hd95.dropna()
        near, far = found.median(), found.mean()
        few = "a few images with far-off borders" if far > 1.5 * near else "no few images"
        lines.append(
            f"- {best} on {name}: boundary F within 2 pixels is {_per_cent(rows.boundary_f_2px.mean())}; the 95 % "
            f"distance is {near:.1f} px in the middle image and {far:.1f} px on average, so {few} carry the mean."
        )
    nothing = test["empty"].sum()
    return "\n".join(lines) + f"\n\n{nothing} of {len(test)} predictions are empty and count as a picture's diagonal."


def read_calibration(table: pd.DataFrame) -> str:
    """`tables.calibration` in words; a per cent is where bold and shy begin."""
    over = table["said - found"]
    bold, shy = table[over > 0.01], table[over < -0.01]
    worst, least = table.loc[table["ECE fg"].idxmax()], table.loc[table["ECE fg"].idxmin()]

    def words(row: pd.Series) -> str:
        return f"{row.run} on {row.dataset} ({row['ECE fg']:.3f})"

    return (
        f"In the foreground, runs are too bold in {len(bold)} of {len(table)} cases and too shy in {len(shy)}. "
        f"The largest foreground error is that of {words(worst)}, the smallest that of {words(least)}. "
        f"{(table['empty %'] > 0).sum()} of {len(table)} predicted nothing at all on some image."
    )


def read_thresholds(sweep: pd.DataFrame, chosen: float) -> str:
    """What another threshold would bring (test rows of the sweep), in words."""
    by = ["run", "dataset"]
    best = sweep.loc[sweep.groupby(by, sort=False).f1.idxmax()].set_index(by)
    nearest = sweep.assign(away=(sweep.threshold - chosen).abs()).sort_values("away", kind="stable").groupby(by).first()
    gain = (best.f1 - nearest.f1).reindex(best.index)
    run, dataset = gain.idxmax()
    return (
        f"In {(gain < 0.01).sum()} of {len(gain)} cases the best threshold brings less than one point over {chosen}. "
        f"The largest gain would be {100 * gain.max():.1f} points, for {run} on {dataset} at "
        f"{best.threshold[run, dataset]:.2f}; "
        f"{(best.threshold < chosen).sum()} of the best thresholds lie below {chosen}, "
        f"{(best.threshold > chosen).sum()} above."
    )


def read_differences(table: pd.DataFrame, level: float = 0.05) -> str:
    """`tables.differences` in words, those of its first dataset; p is held against `level`."""
    if table.empty:
        return "There are no two runs that differ in one thing only, so there is nothing to compare."
    rows = table[table.dataset == table.dataset.iloc[0]]
    found, people = rows[rows["p (Holm)"] < level], int(rows.subjects.min())
    lines = [
        f"- {row.second} against {row.first}: {in_points(row.change, row.low, row.high)}, d = {row.d:.1f}"
        for row in found.sort_values("change", key=abs, ascending=False).itertuples()
    ]
    pairs = f"{len(rows)} pair{'' if len(rows) == 1 else 's'}"
    few = people and rows.seeds.max() < 2 and 2 / 2.0**people * len(rows) > level
    caution = f"; with {people} people no test of {pairs} could show more, so read the intervals" if few else ""
    listed = ":\n\n" + "\n".join(lines) if lines else "."
    where = f"on {rows.dataset.iloc[0]} at the {100 * level:.0f} % level (Holm)"
    return f"Of {pairs} {len(found)} differ {where}{caution}{listed}"


def read_groups(table: pd.DataFrame, best: str, level: float = 0.05) -> str:
    """`tables.groups` of one run in words: which groups are better or worse off than the rest of their test set."""
    mine = table[table.run == best]
    if mine.empty:
        return "No test set tells gaze, device or people apart, so no group can be held against another."
    sure = mine[mine["p (Holm)"] < level]
    widest = mine.loc[mine.difference.abs().idxmax()]

    def words(row) -> str:
        points = in_points(row.difference, row["difference low"], row["difference high"])
        return f"{row['group']} ({row['by']}) on {row.dataset}: {points}"

    listed = ":\n\n" + "\n".join(f"- {words(row)}" for _, row in sure.iterrows()) if len(sure) else "."
    return (
        f"For {best} the widest difference between a group and the rest of its set is {words(widest)}. Of {len(mine)} "
        f"groups {len(sure)} can be told from the rest (Holm){listed}"
    )


def read_seeds(table: pd.DataFrame) -> str:
    """`tables.seeds` in words."""
    if table.seeds.max() < 2:
        return "One seed was trained, so how far chance in training moves these scores is not known from this report."
    row = table.loc[table["sd"].idxmax()]
    return (
        f"Seeds alone move mean F1 most for {row.system}-{row.condition} on {row.dataset}: from "
        f"{_per_cent(row.least)} to {_per_cent(row.most)} over {row.seeds} seeds."
    )


def read_people(table: pd.DataFrame, best: str) -> str:
    """`tables.people` of one run in words."""
    lines = []
    for name, rows in table[table.run == best].groupby("dataset", sort=False):
        hard, easy = rows.loc[rows.f1.idxmin()], rows.loc[rows.f1.idxmax()]
        from_to = f"from {_per_cent(hard.f1)} for person {plain_text(hard.person)} to {_per_cent(easy.f1)} for"
        lines.append(f"- {name}: {from_to} {plain_text(easy.person)}, {len(rows)} people.")
    return f"Mean F1 of {best} by person:\n\n" + "\n".join(lines)


def read_associations(table: pd.DataFrame) -> str:
    """`tables.associations` of one run in words: those whose interval leaves out zero."""
    sure = table[(table.low > 0) | (table.high < 0)]
    lines = [
        f"- {row.dataset}: {'higher' if row.rho > 0 else 'lower'} scores go with higher {row.factor} "
        f"(rank correlation {row.rho:+.2f}, {row.low:+.2f} to {row.high:+.2f})"
        for row in sure.itertuples()
    ]
    start = f"For {len(table) - len(sure)} of {len(table)} measures the interval of the rank correlation includes zero"
    return start + ("; the others:\n\n" + "\n".join(lines) if lines else ".") + "\n\nSuch measures go together, so none is a cause by itself."  # fmt: skip  # noqa: E501


def read_protocols(table: pd.DataFrame, best: str) -> str:
    """One run's scores by protocol (`tables.protocols`) in words."""
    row = table[(table.run == best) & (table.dataset == "overall")].iloc[0]
    binary = {name: row[name] for name in table if name.startswith("F1, ")}
    high, low = max(binary, key=binary.get), min(binary, key=binary.get)
    chosen = row["best F1, 2025"] - row["F1, 2025"]
    return (
        f"The same masks of {best} are worth {_per_cent(binary[low])} ({low}) to {_per_cent(binary[high])} ({high}): "
        f"{100 * (binary[high] - binary[low]):.1f} points by the way of counting alone. A threshold that looks at each "
        f"image's truth, as the best F1 of 2025 does, adds {100 * chosen:.1f} points."
    )


def _percents(row: pd.Series) -> str:
    """F1 with its interval, where there is one."""
    between = f" ({100 * row.low:.1f} to {100 * row.high:.1f})" if pd.notna(row.low) else ""
    return _per_cent(row.f1) + between


def _per_cent(value: float) -> str:
    return f"{100 * value:.1f}\u00a0%"  # a line does not break in it
