"""Cards say what was measured, admit what nobody said, and let no text out of its place."""

import html.parser
import json

import pandas as pd
import pytest
from tiny_data import load_findings

from cgdseg import paths
from cgdseg.config import StandIn
from cgdseg.data.copies import PAIR_COLUMNS
from cgdseg.data.manifest import save_manifest
from cgdseg.data.splits import make_splits
from cgdseg.data.stored import load_manifest, load_splits
from cgdseg.files import write_atomic
from cgdseg.report import cards
from cgdseg.report import pages as report
from cgdseg.studies import audit, comparison
from cgdseg.studies.scores import evaluation, summaries
from cgdseg.training import loop, runs

HOSTILE = r"\<script>alert(1)</script> | \[x](javascript:alert(1)) `<b>`" + "\n# Card of another"


def data_card(cfg, name, near=(), changed=None, **changes):
    cfg = cfg.model_copy(update={"datasets": {**cfg.datasets, name: cfg.datasets[name].model_copy(update=changes)}})
    eyes = load_manifest(cfg)
    for column, value in (changed or {}).items():
        eyes.loc[eyes.index[-1], column] = value
    copies = audit.duplicates(eyes, pd.DataFrame(near, columns=PAIR_COLUMNS))
    return cards.data_card(cfg, name, eyes, load_findings(cfg), copies, audit.split_counts(load_splits(cfg), eyes, cfg))


def row(card, name) -> str:
    return next(line for line in card.splitlines() if line.startswith(f"| {name}"))


def test_a_data_card_says_what_is_there(tiny_config):
    card = data_card(tiny_config, "Photos", origin="drawn for a test", licence="free")
    assert card.startswith("# Photos\n") and "drawn for a test" in card and "| licence | free |" in card
    eyes = load_manifest(tiny_config).query("dataset == 'Photos'")
    assert f"{len(eyes)} with a usable mask, of {eyes.subject.nunique()} people" in row(card, "images")
    assert "| synthetic | subject | 0 | 0 | 12 |" in card and "Biometric data" in card
    assert "counts each of 12 images as a person of its own" in card and "mostly trained on" not in card
    drawn = data_card(tiny_config, "Drawn")
    assert "Every image has a mask that fits" in drawn and "Biometric" not in drawn and "generator" in drawn


def test_a_data_card_admits_what_nobody_said(tiny_config):
    assert "not stated: set `licence`" in data_card(tiny_config, "Photos")


def test_a_stand_in_is_called_so(tiny_config):
    card = data_card(tiny_config, "Photos", stand_in=StandIn(look="masd", n_images=12))
    assert card.startswith("# Photos stand-in") and "No person was photographed" in card and "Biometric" not in card


def test_a_closed_eye_and_many_sizes_are_counted(tiny_config):
    card = data_card(tiny_config, "Photos", changed={"sclera": 0.0, "width": 47})
    assert "sclera in 11" in row(card, "masks") and "47×" in row(card, "sizes")


def test_streamed_eyes_are_not_read(tiny_config):
    streamed = tiny_config.training.model_copy(update={"stream": {"synthetic": 8}})
    card = data_card(tiny_config.model_copy(update={"training": streamed}), "Drawn")
    assert "| synthetic | subject | rendered afresh |" in card


def test_copies_are_counted_where_they_are(tiny_config):
    ids = load_manifest(tiny_config).image_id
    photos, drawn = ids[ids.str.startswith("Photos/")].tolist(), ids[ids.str.startswith("Drawn/")].tolist()
    near = [(photos[0], photos[1], 3, False, "as it is", 0.99), (drawn[0], photos[2], 3, False, "as it is", 0.99)]
    assert "1 pair within this dataset, 1 with others" in data_card(tiny_config, "Photos", near)
    assert "0 pairs within this dataset, 1 with others" in data_card(tiny_config, "Drawn", near)
    same_bytes = {"image_sha256": load_manifest(tiny_config).image_sha256.iloc[-2]}
    assert "1 pair within this dataset" in data_card(tiny_config, "Photos", changed=same_bytes)
    assert "No picture stands here twice" in data_card(tiny_config, "Photos")


def test_the_fingerprint_changes_with_the_files(tiny_config):
    before = row(data_card(tiny_config, "Photos"), "fingerprint")
    assert row(data_card(tiny_config, "Photos", changed={"mask_sha256": "0" * 64}), "fingerprint") != before


class Tags(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes).get("href", "")))


def test_no_text_leaves_its_place(tiny_config):
    pages = []
    for words in ("harmless", HOSTILE):
        write_atomic(paths.cards_dir("tiny") / "data-Photos.md", data_card(tiny_config, "Photos", origin=words))
        pages.append(Tags(report.write_cards(tiny_config).read_text()).found)
    assert pages[0] == pages[1]


@pytest.mark.parametrize("protocol", ["subject", "published"])
@pytest.mark.parametrize("trained_on", [("Drawn",), ("Drawn", "Photos")])
def test_a_model_card_says_what_it_scores_and_what_it_is_not(tiny_config, protocol, trained_on):
    splits = tiny_config.splits.model_copy(update={"protocol": protocol})
    cfg = tiny_config.model_copy(update={"splits": splits, "conditions": {"synthetic": trained_on}})
    eyes, run = load_manifest(cfg), cfg.run("unet", "synthetic", 42)
    eyes.loc[eyes.image_id == eyes.image_id.iloc[-1], "sclera"] = 0.0
    save_manifest(cfg, eyes, load_findings(cfg))
    make_splits(eyes, cfg).to_csv(paths.splits_csv(cfg.name), index=False)
    history = loop.train(cfg, run)
    runs.write_run_card(cfg, run, history)
    evaluation.evaluate_runs(cfg).scores.to_csv(paths.scores_csv(cfg.name), index=False)
    scores = pd.read_csv(paths.scores_csv(cfg.name), keep_default_na=False)  # as notebook 6 does
    scores["boundary_f_2px"] = scores.boundary_f_2px.astype(object)
    scores.loc[scores.index[-1], "boundary_f_2px"] = ""  # neither image nor prediction has a border
    references = summaries.mean_scores(evaluation.evaluate_references(cfg).scores)
    costs = comparison.measure_costs(cfg, n_timed=1)
    compared = comparison.compare_trainings(summaries.mean_scores(scores), references, costs)
    card = cards.model_card(cfg, run, compared, scores)
    mine, test = compared[compared.run == run.name].iloc[0], scores[scores.part == "test"]
    assert f"| Photos | {mine.f1:.4f} |" in card and f"score at most {test.f1.quantile(0.1):.4f}" in card
    assert f"{mine.parameters:,} parameters" in card and f"{history.val_f1.max():.4f}" in row(card, "chosen by")
    assert json.loads(paths.run_card(cfg.name, run.name).read_text())["weights_sha256"][:16] in card
    knows = "Photos" in trained_on
    assert ("inflated" in card) == (knows and protocol == "published")
    assert ("nothing that it is tested on was trained on" in card) == (not knows)
    assert ("never saw a photograph" in card) == (not knows)


def test_a_page_holds_every_card_in_the_config_s_order(tiny_config):
    assert report.write_cards(tiny_config) is None
    for name in ("model-unet-synthetic-42", "data-Photos", "data-Drawn", "data-Gone"):
        write_atomic(paths.cards_dir("tiny") / f"{name}.md", f"# {name}\n\n## Limits of {name}\n\ntext\n")
    page = report.write_cards(tiny_config).read_text()
    places = [page.index(f'<h2 id="{name}"') for name in ("data-Drawn", "data-Photos", "model-unet-synthetic-42")]
    assert places == sorted(places) and "data-Gone" not in page and "<h3" in page and "Provenance" not in page
    assert "#Limits" not in page.partition("<main")[0]  # the contents name cards only
