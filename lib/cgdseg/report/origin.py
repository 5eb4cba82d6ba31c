"""Where a table comes from: the config, the code and the trainings behind it.

stamp(table, origin) -> the table with columns that say so, for its CSV; Origin.words() -> a line below it on a page."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from cgdseg import hashes
from cgdseg.config import Config, Run
from cgdseg.hashes import digest

if TYPE_CHECKING:  # the runner imports this file many times and needs no tables
    import pandas as pd

STAMP = ["run id", "training seed", "config", "config hash", "commit"]


@dataclass(frozen=True)
class Origin:
    """What one notebook run works with; `run_ids` and `seeds` are by name of a run."""

    config: str
    config_hash: str
    commit: str
    run_ids: dict[str, str]
    seeds: dict[str, int]
    run: str | None = None  # the training that the notebook is about, if it is about one

    @classmethod
    def of(cls, cfg: Config, run: Run | None = None) -> Self:
        runs = {each.name: each for each in cfg.runs()}
        ids = {name: cfg.run_id(each) for name, each in runs.items()}
        seeds = {name: each.seed for name, each in runs.items()}
        name = run.name if run else None
        return cls(cfg.name, digest(cfg)[:8], hashes.commit(), run_ids=ids, seeds=seeds, run=name)

    def words(self, n_rows: int) -> str:
        seeds = [self.seeds[self.run]] if self.run else sorted(set(self.seeds.values()))
        parts = [
            *([self.run_ids[self.run]] if self.run else []),
            f"config {self.config} {self.config_hash}",
            _commit(self.commit),
            f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}",
            f"{n_rows:,} row{'' if n_rows == 1 else 's'}",
        ]
        return " · ".join(parts)


def stamp(table: "pd.DataFrame", origin: Origin) -> "pd.DataFrame":
    """Add the columns STAMP; a row's run id and seed are those of the training that its column `run` names."""
    named = table["run"].map(str) if "run" in table else None
    ids = origin.run_ids.get(origin.run, "") if named is None else named.map(origin.run_ids).fillna("")
    seeds = origin.seeds.get(origin.run, "") if named is None else named.map(origin.seeds).astype("Int64")
    values = [ids, seeds, origin.config, origin.config_hash, origin.commit]
    return table.assign(**dict(zip(STAMP, values, strict=True)))


def unstamp(table: "pd.DataFrame") -> tuple["pd.DataFrame", str]:
    """A stamped table as its reader wants it, and its origin in words."""
    plain = table.drop(columns=STAMP, errors="ignore")
    if "commit" not in table or table.empty:
        return plain, ""
    first = table.iloc[0]
    return plain, f"config {first.config} {first['config hash']} · {_commit(first.commit)}"


def _commit(words: str) -> str:
    sha, _, changes = words.partition(" ")
    return f"commit {sha[:10]} {changes}".strip()
