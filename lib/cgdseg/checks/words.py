"""The comparison and the ledger in words: frames in, Markdown out."""

import pandas as pd

from cgdseg.claims import CONTRADICTED, INCONSISTENT, REPRODUCED, VERDICTS


def read_comparison(table: pd.DataFrame) -> str:
    """`comparison.compare`: which training does best on each test set, and what is within its interval."""
    lines = []
    for dataset, rows in table.groupby("dataset", sort=False):
        trained = rows[rows.seed.notna()].sort_values("f1", ascending=False)
        best = trained.iloc[0]
        text = f"- **{dataset}**: {best.run} does best, with F1 {best.f1:.3f}{_interval(best)} on {best.images} images"
        close = trained.iloc[1:][trained.iloc[1:].f1 >= best.low]
        text += f" of {best.subjects} people" if best.subjects > 1 else ""
        text += f"; within its interval: {', '.join(close.run)}" if len(close) else ""
        others = rows[rows.seed.isna()].sort_values("f1", ascending=False)
        text += (
            f"; beside it {', '.join(f'{row.run} {row.f1:.3f}' for row in others.itertuples())}" if len(others) else ""
        )
        lines.append(f"{text}.")
    return "\n".join(lines)


def _interval(row: pd.Series) -> str:
    return "" if pd.isna(row.low) else f" ({row.low:.3f} to {row.high:.3f})"


def read_costs(table: pd.DataFrame) -> str:
    """`comparison.compare`: the span of what trainings cost."""
    runs = table[table.seed.notna()].drop_duplicates("run")
    if runs["training minutes"].isna().all():
        return "No history of a training is left, so its minutes are unknown."
    most, least = (runs.loc[getattr(runs["training minutes"], which)()] for which in ("idxmax", "idxmin"))
    slow, fast = (runs.loc[getattr(runs["ms an image"], which)()] for which in ("idxmax", "idxmin"))
    return (
        f"The longest training, {most.run}, took {most['training minutes']:.1f} minutes, the shortest, {least.run}, "
        f"{least['training minutes']:.1f}. One image takes {slow.run} {slow['ms an image']:.0f} ms and {fast.run} "
        f"{fast['ms an image']:.0f} ms on this machine."
    )


def read_verdicts(judged: pd.DataFrame) -> str:
    """`checks.judge`: how many claims have each verdict, and where the false ones gather."""
    counts = judged.verdict.value_counts().reindex(VERDICTS, fill_value=0)
    wrong = judged[judged.verdict.isin([CONTRADICTED, INCONSISTENT])]
    listed = ", ".join(f"{n} {verdict}" for verdict, n in counts.items() if verdict != REPRODUCED)
    text = f"Of {len(judged)} claims on {judged.slide.nunique()} slides {counts[REPRODUCED]} are reproduced; {listed}."
    if wrong.empty:
        return text
    slides = wrong.slide.value_counts().head(3)
    where = ", ".join(f"“{slide}” ({n})" for slide, n in slides.items())
    return f"{text} Most of what is contradicted or inconsistent stands on {where}."


def read_causes(rows: pd.DataFrame, verdict: str) -> str:
    """`comparison.causes` in a sentence each: what is claimed, what is found."""
    if rows.empty:
        return f"No claim is {verdict}."
    lines = []
    for row in rows.itertuples():
        places = f" ({row.places} places)" if row.places > 1 else ""
        lines.append(f"- “{row.claim}”{places}: {row.found}.")
    return "\n".join(lines)
