"""Cards: a page of Markdown for whoever meets a dataset or a trained model without its notebooks.

data_card, model_card -> Markdown, filled by what notebooks measured; headings after Mitchell et al. 2019 (model cards)
and Pushkarna et al. 2022 (data cards), as far as a pipeline can know."""

import hashlib
import json

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from cgdseg import paths
from cgdseg.config import Config, Run
from cgdseg.hashes import commit
from cgdseg.text import plain_text


def fill(template: str, **words) -> str:
    """A template of lib/cgdseg/report/templates/ filled in; a word that is missing is an error."""
    options = {"undefined": StrictUndefined, "keep_trailing_newline": True, "trim_blocks": True, "lstrip_blocks": True}
    environment = Environment(loader=PackageLoader("cgdseg.report"), **options)
    environment.filters |= {"plain": plain_text, "table": markdown}
    return environment.get_template(template).render(words)


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown, numbers to four decimals."""
    cells = table.map(lambda value: f"{value:.4f}" if isinstance(value, float) else plain_text(value))
    lines = [list(map(plain_text, table.columns)), ["---"] * table.shape[1], *cells.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def data_card(
    cfg: Config, name: str, eyes: pd.DataFrame, findings: pd.DataFrame, copies: pd.DataFrame, parts: pd.DataFrame
) -> str:
    """The card of one dataset of a config.

    eyes, findings: `manifest.build_manifest`; copies: `audit.duplicates`; parts: `audit.split_counts`."""
    own, dataset = eyes[eyes.dataset == name], cfg.datasets[name]
    hashes = own.sort_values("image_id")[["image_sha256", "mask_sha256"]].to_numpy().tolist()
    found = findings[findings.dataset == name].groupby(["reason", "used"], sort=False).size().rename("files")
    sizes = (own.width.astype(str) + "×" + own.height.astype(str)).value_counts()
    mine = sum(copies[side].str.startswith(f"{name}/").astype(int) for side in ("first", "second"))
    used = parts[(parts.dataset == cfg.label(name)) & (parts.protocol == parts.condition.map(cfg.protocol))]
    fresh = used.condition.isin(cfg.training.stream)  # its training eyes are drawn, not read
    used = used.assign(train=used.train.astype(object).where(~fresh, "rendered afresh"))
    return fill(
        "data_card.md.j2",
        cfg=cfg,
        name=name,
        dataset=dataset,
        eyes=own,
        sizes=list(sizes.items()),
        people=own.subject.nunique(),
        fingerprint=hashlib.sha256(json.dumps(hashes).encode()).hexdigest(),
        findings=found.reset_index(),
        copies={"inside": int((mine == 2).sum()), "across": int((mine == 1).sum())},
        used=used[["condition", "protocol", "train", "val", "test"]],
        leaks=bool(((used.protocol == "published") & (used.train != 0) & (used.test > 0)).any()),
        commit=commit(),
    )


def model_card(cfg: Config, run: Run, compared: pd.DataFrame, scores: pd.DataFrame) -> str:
    """The card of one trained run: `comparison.compare_trainings` of all runs, and the scores of notebook 4."""
    card = json.loads(paths.run_card(cfg.name, run.name).read_text())
    folder = paths.run_dir(card["run_id"])
    mine, trained = compared[compared.run == run.name], cfg.conditions[run.condition]
    sources = [cfg.datasets[name] for name in trained]
    test = scores[(scores.run == run.name) & (scores.part == "test")]
    tested = test.dataset.unique()
    return fill(
        "model_card.md.j2",
        cfg=cfg,
        run=run,
        made=card | json.loads((folder / "run.json").read_text()),
        settings=cfg.systems[run.system],
        folder=paths.short(folder),
        costs=mine.iloc[0],
        trained_on=[cfg.label(name) for name in trained],
        tested_on_own=[cfg.label(name) for name in tested if name in trained],
        tested_on_stand_ins=[cfg.label(name) for name in tested if cfg.datasets[name].stand_in],
        saw_photographs=any(source.domain == "real" and source.stand_in is None for source in sources),
        protocol=cfg.protocol(run.condition),
        departures=", ".join(cfg.cgdsegs()[run.system].departures()) if run.system in cfg.cgdsegs() else "",
        scores=_test_scores(mine, test),
        hardest=_hardest(test),
    )


def _test_scores(mine: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """A row a test set: F1 with interval and counts, then the means of what a user asks next."""
    names = {"precision": "precision", "recall": "recall", "boundary_f_2px": "boundary F, 2 px", "ece": "ECE"}
    numbers = test[list(names)].apply(pd.to_numeric)  # read from a file, a score that does not exist is an empty text
    means = numbers.groupby(test.label).mean().rename(columns=names)
    shown = mine[["dataset", "f1", "low", "high", "images", "subjects"]].join(means, on="dataset")
    return shown.rename(columns={"dataset": "test set", "f1": "F1", "subjects": "people"})


def _hardest(test: pd.DataFrame) -> list[dict]:
    """What a mean hides, a row a test set: the tenth of images that goes worst, and the person that goes worst."""
    rows = []
    for label, group in test.groupby("label", sort=False):
        tenth, person = group.f1.quantile(0.1), group.groupby("subject").f1.mean().min()
        missed = int(((group["empty"] == 1) & (group.sclera > 0)).sum())
        rows.append({"label": label, "tenth": tenth, "person": person, "missed": missed})
    return rows
