"""Cards say what was measured, admit what nobody said, and let no text out of its place."""

import json

import pandas as pd
import pytest

from cgdseg import cards, comparison, evaluation, paths, report, tables, training
from cgdseg.config import StandIn
from cgdseg.data.copies import COLUMNS
from cgdseg.data.manifest import load_findings, load_manifest
from cgdseg.data.splits import load_splits
from cgdseg.files import write_atomic

HOSTILE = "<script>alert(1)</script> | [x](javascript:alert(1))\n# Card of another"


def data_card(cfg, name, **changes):
    cfg = cfg.model_copy(update={"datasets": {**cfg.datasets, name: cfg.datasets[name].model_copy(update=changes)}})
    eyes, near = load_manifest(cfg), pd.DataFrame(columns=COLUMNS)
    return cards.data_card(cfg, name, eyes, load_findings(cfg), near, tables.parts(load_splits(cfg), eyes, cfg))


def test_a_data_card_says_what_is_there(tiny_config):
    card = data_card(tiny_config, "Photos", origin="drawn for a test", licence="free")
    assert card.startswith("# Photos\n") and "drawn for a test" in card and "| licence | free |" in card
    eyes = load_manifest(tiny_config).query("dataset == 'Photos'")
    assert f"{len(eyes)} with a usable mask, of {eyes.subject.nunique()} people" in card
    assert "| synthetic | subject | 0 | 0 | 12 |" in card and "Biometric data" in card
    assert "counts each of its 12 images as a person of its own" in card
    assert "Every image has a mask that fits" in data_card(tiny_config, "Drawn")


def test_a_data_card_admits_what_nobody_said(tiny_config):
    assert "not stated: set `licence`" in data_card(tiny_config, "Photos")


def test_a_stand_in_is_called_so(tiny_config):
    card = data_card(tiny_config, "Photos", stand_in=StandIn(look="masd", n_images=12))
    assert card.startswith("# Photos stand-in") and "No person was photographed" in card and "Biometric" not in card


def test_the_fingerprint_changes_with_the_files(tiny_config):
    def fingerprint():
        return next(line for line in data_card(tiny_config, "Photos").splitlines() if "fingerprint" in line)

    before = fingerprint()
    eyes = load_manifest(tiny_config)
    eyes.loc[eyes.dataset == "Photos", "mask_sha256"] = "0" * 64
    eyes.to_csv(paths.manifest_csv(tiny_config.name), index=False)
    assert fingerprint() != before


def test_no_text_leaves_its_place(tiny_config):
    card = data_card(tiny_config, "Photos", origin=HOSTILE)
    row = next(line for line in card.splitlines() if line.startswith("| origin"))
    assert "# Card of another" in row and "<script>" not in card.replace(r"\<", "") and r"\[x]" in row
    write_atomic(paths.cards_dir("tiny") / "data-Photos.md", card)
    page = report.write_cards(tiny_config).read_text()
    assert "<script>alert" not in page and 'href="javascript' not in page and page.count("<h1") == 1


@pytest.mark.parametrize("protocol", ["subject", "published"])
def test_a_model_card_says_what_it_scores_and_what_it_is_not(tiny_config, protocol):
    splits = tiny_config.splits.model_copy(update={"protocol": protocol})
    cfg, run = tiny_config.model_copy(update={"splits": splits}), tiny_config.run("unet", "synthetic", 42)
    history = training.train(cfg, run)
    training.write_run_card(cfg, run, history)
    scores = evaluation.evaluate_runs(cfg).scores
    references = evaluation.cross_domain(evaluation.evaluate_references(cfg).scores)
    compared = comparison.compare(cfg, evaluation.cross_domain(scores), references, n_timed=1)
    card = cards.model_card(cfg, run, compared, scores)
    mine, test = compared[compared.run == run.name].iloc[0], scores[scores.part == "test"]
    assert f"| Photos | {mine.f1:.4f} |" in card and f"score at most {test.f1.quantile(0.1):.4f}" in card
    assert f"{mine.parameters:,} parameters" in card and f"{history.val_f1.max():.4f}" in card
    assert json.loads(paths.run_card(cfg.name, run.name).read_text())["weights_sha256"][:16] in card
    assert ("inflated" in card) == (protocol == "published")
    assert "never saw a photograph" not in card  # these are files that somebody brought


def test_a_page_holds_every_card_in_the_config_s_order(tiny_config):
    assert report.write_cards(tiny_config) is None
    for name in ("model-unet-synthetic-42", "data-Photos", "data-Drawn", "data-Gone"):
        write_atomic(paths.cards_dir("tiny") / f"{name}.md", f"# {name}\n\n## Limits of {name}\n\ntext\n")
    page = report.write_cards(tiny_config).read_text()
    places = [page.index(f'<h2 id="{name}"') for name in ("data-Drawn", "data-Photos", "model-unet-synthetic-42")]
    assert places == sorted(places) and "data-Gone" not in page and "<h4" in page and "Provenance" not in page
