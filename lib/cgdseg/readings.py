"""Tables in words: what a section found, put together from its numbers. A frame in, Markdown out."""

import pandas as pd

from cgdseg.data.copies import ALIKE
from cgdseg.data.radius import Calibration
from cgdseg.markup import plain


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


def _per_cent(value: float) -> str:
    return f"{100 * value:.1f}\u00a0%"  # a line does not break in it


def _percents(row: pd.Series) -> str:
    """F1 with its interval, where there is one."""
    between = f" ({100 * row.low:.1f} to {100 * row.high:.1f})" if pd.notna(row.low) else ""
    return _per_cent(row.f1) + between


def read_scores(summary: pd.DataFrame, best: str) -> str:
    """The test scores of `evaluation.cross_domain` in words."""
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
    others = (
        f" {apart}. The lowest mean is that of {means.idxmin()}, {_per_cent(means.min())}." if len(means) > 1 else ""
    )
    return f"The highest mean F1 is that of {best}: {'; '.join(lines)}.{others} {flattered}"


def read_references(untrained: pd.DataFrame, summary: pd.DataFrame, release: str = "release") -> str:
    """What needed no training here beside what did: summaries of `evaluation.cross_domain` in words."""
    test = summary[summary.part == "test"]
    naive = untrained[untrained.run != release].groupby("dataset").f1.max()
    lines = []
    for _, row in untrained[untrained.run == release].iterrows():
        mine = test[test.dataset == row.dataset]
        below = mine[mine.f1 <= naive[row.dataset]].run
        words = (
            f"no better than that: {', '.join(below)}" if len(below) else "every run trained here is better than that"
        )
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
        words = (
            "so a few images with far-off borders carry the mean"
            if far > 1.5 * near
            else "so no few images carry the mean"
        )
        lines.append(
            f"- {best} on {name}: boundary F within 2 pixels is {_per_cent(rows.boundary_f_2px.mean())}; the 95 % "
            f"distance is {near:.1f} px in the middle image and {far:.1f} px on average, {words}."
        )
    nothing = test["empty"].sum()
    return "\n".join(lines) + f"\n\n{nothing} of {len(test)} predictions are empty and count as a picture's diagonal."


def read_calibration(table: pd.DataFrame) -> str:
    """`score_tables.calibration` in words; a per cent is where bold and shy begin."""
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
    """`score_tables.differences` in words, those of its first dataset; p is held against `level`."""
    if table.empty:
        return "There are no two runs that differ in one thing only, so there is nothing to compare."
    rows = table[table.dataset == table.dataset.iloc[0]]
    found, people = rows[rows["p (Holm)"] < level], int(rows.subjects.min())
    lines = [
        f"- {row.second} against {row.first}: {100 * row.change:+.1f} points ({100 * row.low:+.1f} to "
        f"{100 * row.high:+.1f}), d = {row.d:.1f}"
        for row in found.sort_values("change", key=abs, ascending=False).itertuples()
    ]
    pairs = f"{len(rows)} pair{'' if len(rows) == 1 else 's'}"
    start = f"Of {pairs} {len(found)} differ on {rows.dataset.iloc[0]} at the {100 * level:.0f} % level (Holm)"
    if people and 2 / 2.0**people * len(rows) > level:
        start += f"; with {people} people no test of {pairs} could show more, so read the intervals"
    return start + (":\n\n" + "\n".join(lines) if lines else ".")


def read_seeds(table: pd.DataFrame) -> str:
    """`score_tables.seeds` in words."""
    if table.seeds.max() < 2:
        return "One seed was trained, so how far chance in training moves these scores is not known from this report."
    row = table.loc[table["sd"].idxmax()]
    return (
        f"Seeds alone move mean F1 most for {row.system}-{row.condition} on {row.dataset}: from "
        f"{_per_cent(row.least)} to {_per_cent(row.most)} over {row.seeds} seeds."
    )


def read_people(table: pd.DataFrame, best: str) -> str:
    """`score_tables.people` of one run in words."""
    lines = []
    for name, rows in table[table.run == best].groupby("dataset", sort=False):
        hard, easy = rows.loc[rows.f1.idxmin()], rows.loc[rows.f1.idxmax()]
        from_to = f"from {_per_cent(hard.f1)} for person {plain(hard.person)} to {_per_cent(easy.f1)} for"
        lines.append(f"- {name}: {from_to} {plain(easy.person)}, {len(rows)} people.")
    return f"Mean F1 of {best} by person:\n\n" + "\n".join(lines)


def read_associations(table: pd.DataFrame) -> str:
    """`score_tables.associations` of one run in words: those whose interval leaves out zero."""
    sure = table[(table.low > 0) | (table.high < 0)]
    lines = [
        f"- {row.dataset}: {'higher' if row.rho > 0 else 'lower'} scores go with higher {row.factor} "
        f"(rank correlation {row.rho:+.2f}, {row.low:+.2f} to {row.high:+.2f})"
        for row in sure.itertuples()
    ]
    start = f"For {len(table) - len(sure)} of {len(table)} measures the interval of the rank correlation includes zero"
    return start + ("; the others:\n\n" + "\n".join(lines) if lines else ".") + "\n\nSuch measures go together, so none is a cause by itself."  # fmt: skip  # noqa: E501


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


def read_protocols(table: pd.DataFrame, best: str) -> str:
    """One run's scores by protocol (`score_tables.protocols`) in words."""
    row = table[(table.run == best) & (table.dataset == "overall")].iloc[0]
    binary = {name: row[name] for name in table if name.startswith("F1, ")}
    high, low = max(binary, key=binary.get), min(binary, key=binary.get)
    chosen = row["best F1, 2025"] - row["F1, 2025"]
    return (
        f"The same masks of {best} are worth {_per_cent(binary[low])} ({low}) to {_per_cent(binary[high])} ({high}): "
        f"{100 * (binary[high] - binary[low]):.1f} points by the way of counting alone. A threshold that looks at each "
        f"image's truth, as the best F1 of 2025 does, adds {100 * chosen:.1f} points."
    )
