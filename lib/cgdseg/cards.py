"""Cards: a page of Markdown for whoever meets a dataset or a trained model without its notebooks.

data_card, model_card -> Markdown, filled by what notebooks measured; headings after Mitchell et al. 2019 (model cards)
and Pushkarna et al. 2022 (data cards), as far as a pipeline can know."""

import hashlib
import json

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from cgdseg import paths
from cgdseg.config import Config, Run
from cgdseg.progress import HISTORY, read_history, read_run


def fill(template: str, **words) -> str:
    """A template of lib/cgdseg/templates/ filled in; a word that is missing is an error."""
    options = {"undefined": StrictUndefined, "keep_trailing_newline": True, "trim_blocks": True, "lstrip_blocks": True}
    environment = Environment(loader=PackageLoader("cgdseg"), **options)
    environment.filters["plain"] = plain
    return environment.get_template(template).render(words)


def plain(text: object) -> str:
    """A text that brings neither HTML nor links, lines or table cells into Markdown."""
    words = " ".join(str(text).split())
    return words.replace("<", r"\<").replace("[", r"\[").replace("|", r"\|")


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown, numbers to four decimals."""
    cells = table.map(lambda value: f"{value:.4f}" if isinstance(value, float) else plain(value))
    lines = [list(map(plain, table.columns)), ["---"] * table.shape[1], *cells.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def data_card(
    cfg: Config, name: str, eyes: pd.DataFrame, findings: pd.DataFrame, near: pd.DataFrame, parts: pd.DataFrame
) -> str:
    """The card of one dataset of a config.

    eyes, findings: `manifest.build_manifest`; near: `copies.near_copies`; parts: `tables.parts`."""
    own, dataset = eyes[eyes.dataset == name], cfg.datasets[name]
    hashes = own.sort_values("image_id")[["image_sha256", "mask_sha256"]].to_numpy().tolist()
    found = findings[findings.dataset == name].groupby(["reason", "used"], sort=False).size().rename("files")
    used = parts[(parts.dataset == cfg.label(name)) & (parts.protocol == parts.condition.map(cfg.protocol))]
    return fill(
        "data_card.md.j2",
        cfg=cfg,
        name=name,
        dataset=dataset,
        eyes=own,
        sizes=(own.width.astype(str) + "×" + own.height.astype(str)).value_counts().items(),
        people=own.subject.nunique(),
        fingerprint=hashlib.sha256(json.dumps(hashes).encode()).hexdigest(),
        findings=markdown(found.reset_index()) if len(found) else "",
        near=int(near["first"].str.startswith(f"{name}/").sum()),
        used=markdown(used[["condition", "protocol", "train", "val", "test"]]) if len(used) else "",
        commit=paths.commit(),
    )


def model_card(cfg: Config, run: Run, compared: pd.DataFrame, scores: pd.DataFrame) -> str:
    """The card of one trained run: `comparison.compare` of all runs, and the scores of notebook 4."""
    folder = paths.run_dir(json.loads(paths.run_card(cfg.name, run.name).read_text())["run_id"])
    made, mine = read_run(folder), compared[compared.run == run.name]
    test = scores[(scores.run == run.name) & (scores.part == "test")]
    history = read_history(folder) if (folder / HISTORY).exists() else None
    return fill(
        "model_card.md.j2",
        cfg=cfg,
        run=run,
        made=made,
        settings=cfg.systems[run.system],
        folder=paths.short(folder),
        costs=mine.iloc[0],
        best=None if history is None else history.loc[history.val_f1.idxmax()],
        time=f"{history.seconds.sum() / 60:.1f} minutes" if history is not None else "",
        trained_on=[cfg.label(name) for name in cfg.conditions[run.condition]],
        only_rendered=all(cfg.datasets[name].stand_in for name in cfg.conditions[run.condition]),
        tested_on_stand_ins=[cfg.label(name) for name in test.dataset.unique() if cfg.datasets[name].stand_in],
        protocol=cfg.protocol(run.condition),
        scores=markdown(_test_scores(mine, test)),
        hardest=_hardest(test),
    )


def _test_scores(mine: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """A row a test set: F1 with interval and counts, then the means of what a user asks next."""
    means = test.groupby("label")[["precision", "recall", "boundary_f_2px", "ece"]].mean().round(4)
    names = {"boundary_f_2px": "boundary F, 2 px", "ece": "calibration error"}
    shown = mine[["dataset", "f1", "low", "high", "images", "subjects"]].join(means.rename(columns=names), on="dataset")
    return shown.rename(columns={"dataset": "test set", "f1": "F1", "subjects": "people"})


def _hardest(test: pd.DataFrame) -> list[dict]:
    """What a mean hides, a row a test set: the tenth of images that goes worst, and the person that goes worst."""
    rows = []
    for label, group in test.groupby("label", sort=False):
        people = group.groupby("subject").f1.mean()
        rows.append(
            {
                "label": label,
                "tenth": group.f1.quantile(0.1),
                "person": people.min(),
                "empty": int(group["empty"].sum()),
            }
        )
    return rows
