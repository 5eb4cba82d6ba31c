"""The ledger of claims: every row is read, tested, and judged by its two values alone."""

import re

import numpy as np
import pandas as pd
import pytest
import yaml

from cgdseg.config import load_config
from cgdseg.paths import CLAIMS
from cgdseg.scoring.metrics import scores
from cgdseg.studies.claims import ledger, words
from cgdseg.studies.claims.arithmetic import receptive_field
from cgdseg.studies.claims.evidence import NO_SCORES, Evidence
from cgdseg.studies.claims.judge import CHECKS, check_of, judge, run_check
from cgdseg.studies.claims.ledger import (
    CONTRADICTED,
    INCONSISTENT,
    NOT_TESTABLE,
    REPRODUCED,
    STAND_IN,
    VERDICTS,
    Claim,
    Found,
    verdict,
)
from cgdseg.studies.claims.tables import by_slide, causes, verdicts

LEDGER = ledger.load_claims()
IDS = [claim.id for claim in LEDGER]


def drawn_scores() -> pd.DataFrame:
    """Two CGDSeg runs on images of made-up counts, as `evaluate_runs` writes them, with demo's labels."""
    rng = np.random.default_rng(0)
    rows = []
    for condition, miss in (("synthetic", 0.4), ("mixed", 0.1)):
        for part, dataset in (("val", "SynCROI"), ("test", "MASD"), ("test", "SBVPI")):
            for i in range(12):
                true = int(rng.integers(500, 5000))
                missed = int(true * rng.random() * miss)
                tp, fn, fp = true - missed, missed, int(true * rng.random() * miss)
                rows.append(
                    {"run": f"cgdseg-{condition}-42", "system": "cgdseg", "condition": condition, "seed": 42}
                    | {
                        "part": part,
                        "dataset": dataset,
                        "label": f"{dataset} stand-in",
                        "subject": f"{dataset}:{i % 4}",
                    }
                    | {"tp": tp, "fp": fp, "fn": fn, "error": float(fp + fn), "pixels": 120_000}
                )
    return pd.concat([table := pd.DataFrame(rows), scores(table)], axis=1)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return Evidence(load_config("demo"), drawn_scores())


@pytest.fixture(scope="module")
def found(evidence) -> dict[str, Found]:
    return {claim.id: run_check(claim, evidence) for claim in LEDGER}


@pytest.fixture(scope="module")
def judged(evidence) -> pd.DataFrame:
    return judge(LEDGER, evidence)


def altered(claim: Claim) -> Claim:
    """The claim with another value."""
    value = claim.value
    if isinstance(value, bool):
        other = not value
    elif isinstance(value, str):
        other = value + " and more"
    elif isinstance(value, tuple):
        other = (value[1] + 1e9, value[1] + 2e9)
    else:
        other = value + 3 * claim.tolerance + 0.01 * abs(value) + (0.1 if value == 0 else 0)
    return claim.model_copy(update={"value": other})


@pytest.mark.parametrize("claim", LEDGER, ids=IDS)
def test_a_claim_falls_when_it_is_altered_and_stands_when_it_says_what_is_found(claim, found):
    """Verdicts come from the numbers: no row is right or wrong by nature."""
    result = found[claim.id]
    judgement = verdict(claim, result)
    if result.basis == "nothing" or result.value is None:
        assert judgement == NOT_TESTABLE == verdict(altered(claim), result)
    elif result.basis == "stand-in":
        assert judgement == STAND_IN == verdict(altered(claim), result)
    else:
        false = INCONSISTENT if result.basis == "slides" else CONTRADICTED
        assert judgement in (REPRODUCED, false)
        if judgement == REPRODUCED:
            assert verdict(altered(claim), result) == false
        true = (result.value, result.value) if isinstance(claim.value, tuple) else result.value
        assert verdict(claim.model_copy(update={"value": true}), result) == REPRODUCED


@pytest.mark.parametrize("claim", LEDGER, ids=IDS)
def test_what_is_found_is_of_the_kind_that_is_claimed(claim, found):
    value = found[claim.id].value
    if value is not None:
        number = isinstance(claim.value, tuple) or type(claim.value) is float
        assert type(value) is float if number else type(value) is type(claim.value)


def test_every_check_is_used_and_says_how_it_tests():
    assert {claim.test for claim in LEDGER} == set(CHECKS)
    assert all(check.__doc__.splitlines()[0].endswith((".", "?")) for check in CHECKS.values())


def test_the_ledger_is_as_full_as_promised(judged):
    assert len(LEDGER) >= 120 and judged.id.is_unique
    assert set(judged.verdict) == set(VERDICTS)
    assert judged.claim.str.len().max() < 150  # quoted short
    assert (judged.how.str.len() > 10).all()


@pytest.mark.parametrize(
    ("expected", "names"),
    [
        (
            REPRODUCED,
            ["all_parameters", "log_trainable", "trainable_share", "lora_block", "compression", "mixed_batches"],
        ),
        (REPRODUCED, ["mixed_entries_logged", "mixed_val", "syncroi_cache", "zero_a", "bce_gradient", "lr_last"]),
        (
            CONTRADICTED,
            ["budget_lora", "patch_relevance", "scores_divided", "receptive_field", "clip_both", "unet_memory"],
        ),
        (CONTRADICTED, ["compiled_by_xla", "partition", "all_of_grounding_learns", "equal_ranking", "cost_of_scale"]),
        (INCONSISTENT, ["lora_lr", "lora_lr_with_all", "synthetic_epoch_about", "gap_masd", "frozen", "mixed_entries"]),
        (STAND_IN, ["masd_f1_synthetic", "sbvpi_f1_mixed", "gain_masd", "val_f1_mixed"]),
        (NOT_TESTABLE, ["latency", "outperforms_2025", "higher_ranks"]),
    ],
)
def test_verdicts_that_were_worked_out_by_hand(judged, expected, names):
    assert judged.set_index("id").verdict[names].tolist() == [expected] * len(names)


def test_found_values_are_those_of_the_hand_count(found):
    """Worked out from the slides' formulas, apart from the code."""
    assert found["log_trainable"].value == 3_185_316 and found["all_parameters"].value == 88_268_324
    assert "295,680 of 789,120" in found["all_of_grounding_learns"].said
    adapters = 3 * 325 * 8 * (384 + 384)
    assert found["block_products"].value == 2 * 325**2 * 384 + 325 * (4 * 384**2 + 2 * 384 * 1536) + adapters
    assert found["scores_divided"].value == pytest.approx(96**0.5, rel=1e-5)
    assert found["mixed_entries_logged"].value == 10_000 + 3 * (2_336 + 1_656)
    assert found["gap_masd"].value == pytest.approx(9.76)


def test_a_formula_follows_the_claims_that_it_names(evidence):
    """Where another slide says something else, what is computed from it moves too."""
    changed = [c.model_copy(update={"value": 0.8854}) if c.id == "masd_f1_synthetic" else c for c in LEDGER]
    row = judge([c for c in changed if c.id == "gap_masd"], Evidence(evidence.cfg, claims=changed)).iloc[0]
    assert row.verdict == REPRODUCED and row.measured == "9.17 points"


def test_without_runs_scores_wait(evidence):
    table = judge([c for c in LEDGER if c.test in ("pooled_score", "change")], Evidence(evidence.cfg, NO_SCORES))
    assert set(table.verdict) == {NOT_TESTABLE}


def test_on_real_data_scores_decide(evidence):
    """The same rows are reproduced or contradicted once the config holds the data sets themselves."""
    scores = drawn_scores()
    scores["label"] = scores.dataset
    claim = next(c for c in LEDGER if c.id == "masd_f1_mixed").model_copy(update={"value": 0.5})
    real = Evidence(load_config("ssbc2026"), scores)
    assert judge([claim], real).verdict[0] == CONTRADICTED
    same = claim.model_copy(update={"value": run_check(claim, real).value})
    assert judge([same], real).verdict[0] == REPRODUCED


def test_receptive_field_grows_as_the_formula_says(evidence):
    assert "33 after 16 convolutions" in receptive_field(evidence).said  # 1 + 2 L


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"id": "a", "claim": "c", "value": 1, "test": "follows", "tolerence": 1}, "row a: tolerence"),
        ({"id": "A b", "claim": "c", "value": 1, "test": "follows"}, "row A b: id"),
        ({"id": "a", "claim": "c", "test": "follows"}, "row a: value"),
        ({"id": "a", "claim": "c", "value": 1, "test": "follows", "tolerance": -1}, "row a: tolerance"),
        ({"claim": "c", "value": 1, "test": "follows"}, "row number 1: id"),
        ("not a row", "row number 1: a row must be"),
    ],
)
def test_a_bad_row_is_named(tmp_path, row, problem):
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump({"Some Slide": [row]}))
    with pytest.raises(ValueError, match=re.escape(problem)) as error:
        ledger.load_claims(path)
    assert "claims.yaml, slide 'Some Slide'" in str(error.value)


def test_a_bad_file_is_named(tmp_path):
    path = tmp_path / "claims.yaml"
    row = {"id": "a", "claim": "c", "value": 1, "test": "follows"}
    for text, problem in (
        ("- a\n", "must hold `slide title: \\[rows\\]`"),
        ("a: [", "is not YAML"),
        (yaml.safe_dump({"One": [row], "Two": [row]}), "two rows a: give the one of slide 'Two'"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=problem):
            ledger.load_claims(path)


def test_a_row_that_names_no_check_or_wrong_arguments_is_named(evidence):
    claim = LEDGER[0]
    with pytest.raises(ValueError, match=f"claim {claim.id} names the test nothing"):
        check_of(claim.model_copy(update={"test": "nothing"}))
    with pytest.raises(ValueError, match=f"claim {claim.id}, test shape.*missing"):
        check_of(claim.model_copy(update={"test": "shape", "args": {}}))
    with pytest.raises(ValueError, match=f"claim {claim.id}, test shape.*nowhere"):
        run_check(claim.model_copy(update={"test": "shape", "args": {"module": "nowhere"}}), evidence)


def test_tables_and_sentences_count_every_claim(judged):
    grid = by_slide(judged, VERDICTS)
    assert grid.to_numpy().sum() == len(judged) == verdicts(judged, VERDICTS).claims.sum()
    assert grid.index.tolist() == list(yaml.safe_load(CLAIMS.read_text()))
    false = causes(judged, CONTRADICTED)
    assert false.places.sum() == (judged.verdict == CONTRADICTED).sum() and len(false) < false.places.sum()
    text = words.read_causes(false, CONTRADICTED)
    assert len(text.splitlines()) == len(false) and "“0.59M trainable” (4 places): LoRA has 147,456." in text
    assert str((judged.verdict == REPRODUCED).sum()) in words.read_verdicts(judged)
    assert words.read_causes(false.iloc[:0], CONTRADICTED) == "No claim is contradicted."


def test_values_in_words():
    said = [ledger.in_words(value, "m") for value in (3.0, 0.12345, 12345.678, (1.0, 2.5), None)]
    assert said == ["3 m", "0.1235 m", "12,345.7 m", "1 to 2.5 m", "–"]
    assert [ledger.in_words(value) for value in (True, False, "1×2")] == ["holds", "does not hold", "1×2"]
