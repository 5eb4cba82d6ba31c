"""The judged ledger in words: frames in, Markdown out."""

import pandas as pd

from cgdseg.studies.claims.ledger import CONTRADICTED, INCONSISTENT, REPRODUCED, VERDICTS


def read_verdicts(judged: pd.DataFrame) -> str:
    """`judge.judge`: how many claims have each verdict, and where the false ones gather."""
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
    """`tables.causes` in a sentence each: what is claimed, what is found."""
    if rows.empty:
        return f"No claim is {verdict}."
    lines = []
    for row in rows.itertuples():
        places = f" ({row.places} places)" if row.places > 1 else ""
        lines.append(f"- “{row.claim}”{places}: {row.found}.")
    return "\n".join(lines)
