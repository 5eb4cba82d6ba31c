"""Splits: the slides' arithmetic, persons kept together, the same test for every condition, no chance involved."""

import pandas as pd
import pytest
from tiny_data import make_config

from cgdseg import paths
from cgdseg.data.splits import make_splits, save_splits
from cgdseg.data.stored import load_splits, part_ids, select_ids

SETS = {"SynCROI": "synthetic", "MASD": "real", "SBVPI": "real"}
CONDITIONS = {"synthetic": ["SynCROI"], "mixed": ["SynCROI", "MASD", "SBVPI"]}


def table(name, counts, n_subjects=1, parts=("",)) -> pd.DataFrame:
    """A manifest with `counts` images in each of `parts`."""
    rows = []
    for part, count in zip(parts, counts, strict=True):
        for i in range(count):
            rows.append((f"{name}/{part}{i}", name, f"{name}:{i % n_subjects}", part))
    return pd.DataFrame(rows, columns=["image_id", "dataset", "subject", "part"])


def paper() -> pd.DataFrame:
    """The slides' datasets by their sizes."""
    kit = table("SynCROI", [10_000, 1_000], 2, ["Training", "Validation"])
    return pd.concat([kit, table("MASD", [2_595], 82), table("SBVPI", [1_840], 55)], ignore_index=True)


def config(sets=SETS, conditions=CONDITIONS, test_only=(), **splits):
    datasets = {
        name: {"layout": "plain", "domain": domain, "test_only": name in test_only} for name, domain in sets.items()
    }
    return make_config(paths.HOME / "absent", datasets, conditions, splits=splits)


def parts_of(splits, protocol, condition) -> dict[str, set[str]]:
    chosen = splits[(splits["protocol"] == protocol) & (splits["condition"] == condition)]
    return {part: set(group["image_id"]) for part, group in chosen.groupby("part")}


@pytest.fixture(scope="module")
def splits():
    return make_splits(paper(), config())


def test_published_mixed_is_the_slides_arithmetic(splits):
    cfg = config()
    train = select_ids(splits, cfg, "mixed", "train", "published")
    val = select_ids(splits, cfg, "mixed", "val", "published")
    assert len(train) == 21_976 == 10_000 + 3 * (2_336 + 1_656)
    assert len(val) == 1_443 == 1_000 + 259 + 184
    assert len(select_ids(splits, cfg, "mixed", "test", "published")) == 2_595 + 1_840
    counts = pd.Series(train).value_counts()
    assert set(counts[counts.index.str.startswith("SynCROI")]) == {1}
    assert set(counts[~counts.index.str.startswith("SynCROI")]) == {3}
    assert len(select_ids(splits, cfg, "synthetic", "train", "published")) == 10_000
    assert -(-len(train) // 32) == 687 and len(train) // 32 == 686  # the slides' 686 batches drop the last


def test_published_tests_on_what_it_trained_on(splits):
    parts = parts_of(splits, "published", "mixed")
    real = {image for image in parts["train"] | parts["val"] if not image.startswith("SynCROI")}
    assert real == parts["test"] and not parts["train"] & parts["val"]


def test_subject_keeps_persons_apart(splits):
    manifest = paper().set_index("image_id")
    parts = parts_of(splits, "subject", "mixed")
    people = {part: set(manifest.loc[sorted(ids), "subject"]) for part, ids in parts.items()}
    real = {part: {p for p in who if not p.startswith("SynCROI")} for part, who in people.items()}
    assert not real["train"] & real["val"] and not (real["train"] | real["val"]) & real["test"]
    assert set().union(*real.values()) == {s for s in manifest["subject"] if not s.startswith("SynCROI")}
    for name, n_test, n_val in (("MASD", 41, 4), ("SBVPI", 27, 2)):
        assert sum(p.startswith(name) for p in real["test"]) == n_test
        assert sum(p.startswith(name) for p in real["val"]) == n_val


def test_every_condition_is_tested_on_the_same_images(splits):
    for protocol in ("subject", "published"):
        synthetic, mixed = (parts_of(splits, protocol, condition) for condition in CONDITIONS)
        assert synthetic["test"] == mixed["test"]
        assert all(image.startswith("SynCROI") for image in synthetic["train"] | synthetic["val"])
        assert not any(image.startswith("SynCROI") for image in mixed["test"])


def test_splits_depend_on_the_seed_only(splits):
    shuffled = paper().sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(make_splits(shuffled, config()), splits)
    other = make_splits(paper(), config(seed=43))
    assert parts_of(other, "subject", "mixed")["test"] != parts_of(splits, "subject", "mixed")["test"]
    alone = make_splits(table("MASD", [2_595], 82), config({"MASD": "real"}, {"mixed": ["MASD"]}))
    whole = parts_of(splits, "subject", "mixed")["test"]
    assert parts_of(alone, "subject", "mixed")["test"] == {image for image in whole if image.startswith("MASD")}


def test_fractions_are_obeyed():
    splits = make_splits(paper(), config(test_fraction=0.25, val_fraction=0.3))
    manifest = paper().set_index("image_id")
    parts = parts_of(splits, "subject", "mixed")
    masd = {part: {s for s in manifest.loc[sorted(ids), "subject"] if s[:4] == "MASD"} for part, ids in parts.items()}
    assert [len(masd[part]) for part in ("test", "val", "train")] == [20, 18, 44]


def test_a_condition_is_split_by_its_own_protocol(splits):
    cfg = config(conditions=CONDITIONS, protocols={"mixed": "published"})
    assert select_ids(splits, cfg, "mixed", "train") == select_ids(splits, config(), "mixed", "train", "published")
    assert select_ids(splits, cfg, "synthetic", "test") == select_ids(splits, config(), "synthetic", "test", "subject")


def test_a_synthetic_set_without_parts_is_split_at_random():
    manifest = pd.concat([table("SynCROI", [200], 200), table("MASD", [9], 3), table("SBVPI", [9], 3)])
    parts = parts_of(make_splits(manifest, config()), "subject", "synthetic")
    assert len(parts["val"]) == 20 and len(parts["train"]) == 180


def test_smallest_dataset_still_has_a_person_in_each_part():
    manifest = pd.concat([table("SynCROI", [20], 20), table("MASD", [9], 3), table("SBVPI", [9], 3)])
    parts = parts_of(make_splits(manifest, config(test_fraction=0.9)), "subject", "mixed")
    assert all(sum(image.startswith("MASD") for image in ids) == 3 for ids in parts.values())


def test_too_few_subjects_is_said_with_the_mend():
    manifest = pd.concat([table("SynCROI", [20], 20), table("MASD", [9], 2), table("SBVPI", [9], 3)])
    with pytest.raises(ValueError, match="MASD has 2 subject.*out of the conditions"):
        make_splits(manifest, config())
    apart = {"mixed": ["SynCROI", "SBVPI"]}
    parts = parts_of(make_splits(manifest, config(test_only=["MASD"], conditions=apart)), "subject", "mixed")
    assert {image for image in parts["test"] if image.startswith("MASD")} == {f"MASD/{i}" for i in range(9)}
    assert not any(image.startswith("MASD") for image in parts["train"] | parts["val"])


def test_a_set_nobody_trains_on_is_tested_in_full():
    manifest = pd.concat([table("SynCROI", [20], 20), table("MASD", [9], 1), table("SBVPI", [9], 3)])
    parts = parts_of(make_splits(manifest, config(conditions={"synthetic": ["SynCROI"]})), "subject", "synthetic")
    assert len(parts["test"]) == 18


def test_conditions_that_cannot_be(splits):
    with pytest.raises(ValueError, match="the dataset Nowhere"):
        make_splits(paper(), config(conditions={"c": ["Nowhere"]}))
    with pytest.raises(ValueError, match="needs SBVPI"):
        make_splits(paper()[lambda t: t["dataset"] != "SBVPI"], config())
    with pytest.raises(ValueError, match="no train and no val images"):
        make_splits(paper(), config(conditions={"nothing": []}))
    with pytest.raises(ValueError, match="condition real trains on MASD, which is test_only: drop one"):
        config(test_only=["MASD"], conditions={"real": ["MASD"]})
    lonely = config({"SynCROI": "synthetic"}, {"synthetic": ["SynCROI"]})
    with pytest.raises(ValueError, match="no test images"):
        select_ids(make_splits(table("SynCROI", [20], 20), lonely), lonely, "synthetic", "test")
    with pytest.raises(ValueError, match="condition dreams"):
        select_ids(splits, config(), "dreams", "train")


def test_saved_splits_are_read_back(tmp_path, monkeypatch, splits):
    monkeypatch.setattr(paths, "HOME", tmp_path)
    cfg = config()
    with pytest.raises(FileNotFoundError, match="01_data_audit"):
        load_splits(cfg)
    save_splits(cfg, splits)
    pd.testing.assert_frame_equal(load_splits(cfg), splits)
    assert part_ids(cfg, "mixed", "test") == select_ids(splits, cfg, "mixed", "test", "subject")
