"""The judged ledger in words: frames in, Markdown out."""

import pandas as pd

from cgdseg.studies.claims.ledger import CONTRADICTED, DEFINITIONS, INCONSISTENT, REPRODUCED, VERDICTS


def define_verdicts() -> str:
    """What each verdict means, a line each."""
    return "\n".join(f"- **{verdict}**: {meaning}." for verdict, meaning in DEFINITIONS.items())


def read_verdicts(judged: pd.DataFrame, n_tests: int) -> str:
    """`judge.judge` and `ledger.distinct_tests`: how many claims have each verdict, and where the false ones gather."""
    counts = judged.verdict.value_counts().reindex(VERDICTS, fill_value=0)
    wrong = judged[judged.verdict.isin([CONTRADICTED, INCONSISTENT])]
    listed = ", ".join(f"{n} {verdict}" for verdict, n in counts.items() if verdict != REPRODUCED)
    text = (
        f"Of {len(judged)} claims on {judged.slide.nunique()} slides {counts[REPRODUCED]} are reproduced; {listed}. "
        f"As slides repeat themselves, the rows hold {n_tests} distinct tests."
    )
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
