"""Audits: guessed layouts, duplicates by bytes and by looks, what the parts of a split share."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny_data import (
    SIP,
    draw_eye,
    make_config,
    save,
    save_pair,
    three_domains,
    write_masd,
    write_sbvpi,
    write_syncroi,
)

from cgdseg.data.audit import audit_folder, exact_duplicates, overlap, refuse_overlap, refuse_unusable
from cgdseg.data.copies import PAIR_COLUMNS, from_files, near_copies
from cgdseg.data.manifest import build_manifest
from cgdseg.data.splits import make_splits


def photo(seed: int) -> np.ndarray:
    """A smooth random picture: unlike the drawn eyes, each looks different to a perceptual hash."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    ("layout", "write"),
    [
        ("syncroi", lambda root: write_syncroi(root, n_train=3, n_val=2)),
        ("sbvpi", lambda root: write_sbvpi(root, subjects=[1, 2])),
        ("masd", lambda root: write_masd(root)),
        ("mobius", lambda root: save_pair(root / "Images/1/1_1i_Ll_1.jpg", root / "Masks/1/1_1i_Ll_1.png")),
        ("smd", lambda root: save_pair(root / "Images/1/eye 3.jpg", root / "Masks/1/eye 3.png")),
        ("sld", lambda root: save_pair(root / "Images/1 (2).jpg", root / "Masks/1 (2).png")),
        ("plain", lambda root: save_pair(root / "images/eye.jpg", root / "masks/eye.png")),
        ("plain", lambda root: save_pair(root / "eye.jpg", root / "eye_mask.png")),
    ],
)
def test_layouts_are_guessed(tmp_path, layout, write):
    write(tmp_path)
    result = audit_folder(tmp_path)
    assert result["layout"] == layout and result["pairs"] > 0 and not result["findings"]
    assert json.loads(json.dumps(result)) == result


def test_audit_counts_and_names(tmp_path):
    write_masd(tmp_path)
    (tmp_path / "Images" / "101L_s_1.jpg").write_bytes(b"broken")
    shutil.copy(tmp_path / "Images" / "102L_s_1.jpg", tmp_path / "Images" / "103R_s_1.jpg")
    save(tmp_path / "Masks" / "104L_s_1.png", np.zeros((48, 64), np.uint8))
    result = audit_folder(tmp_path)
    assert (result["pairs"], result["left_out"], result["warnings"], result["subjects"]) == (11, 1, 2, 6)
    assert result["sizes"] == {"48x64": 11} and result["sclera"]["min"] == 0
    duplicate = {"first": f"{tmp_path.name}/102L_s_1", "second": f"{tmp_path.name}/103R_s_1"}
    assert result["duplicates"] == [duplicate | {"same_subject": False, "same_mask": False}]
    assert {finding["file"] for finding in result["findings"]} == {
        "Images/101L_s_1.jpg",
        "Images/103R_s_1.jpg",
        "Masks/104L_s_1.png",
    }


def test_audit_of_nothing(tmp_path):
    result = audit_folder(tmp_path)
    assert result["pairs"] == 0 and result["findings"]
    with pytest.raises(FileNotFoundError, match="absent"):
        audit_folder(tmp_path / "absent")


def test_colours_are_taken_from_the_caller(tmp_path):
    image, labels = draw_eye(0)
    save(tmp_path / "Images" / "a.png", image)
    save(tmp_path / "Masks" / "a.png", SIP[labels][..., ::-1])
    assert audit_folder(tmp_path)["pairs"] == 0
    assert (
        audit_folder(tmp_path, colours={"sclera": (0, 0, 255), "iris": (0, 255, 0), "pupil": (255, 0, 0)})["pairs"] == 1
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"images": "*.jpeg"}, "holds no pair in the layout plain .images: \\*.jpeg, masks: .*correct `images:`"),
        ({"masks": "{stem}_msk.png"}, "3 of . files, such as 0.jpg: has no mask; add it as 0_msk.png"),
        ({"colours": {"sclera": [9, 9, 9]}}, "3 of 3 files, such as 0_mask.png: .*colour"),
    ],
)
def test_a_dataset_without_a_usable_image_stops_the_run(tmp_path, settings, words):
    for i in range(3):
        save_pair(tmp_path / f"Mine/{i}.jpg", tmp_path / f"Mine/{i}_mask.png", seed=i)
    write_syncroi(tmp_path / "SynCROI")
    mine = {"layout": "plain", "domain": "real", "images": "*.jpg", "masks": "{stem}_mask.png"}
    sets = {"SynCROI": {"layout": "syncroi", "domain": "synthetic"}, "Mine": mine}
    for given in ({}, settings):
        cfg = make_config(tmp_path, {**sets, "Mine": mine | given}, {"synthetic": ["SynCROI"]})
        eyes, findings = build_manifest(cfg, progress=False)
        if not given:
            refuse_unusable(eyes, findings, cfg)
    with pytest.raises(ValueError, match=f"(?s)no image is usable.*\nMine: .*{words}") as error:
        refuse_unusable(eyes, findings, cfg)
    assert "SynCROI:" not in str(error.value)


def test_near_duplicates_are_copies_not_lookalikes(tmp_path):
    mask = np.where(draw_eye(0, (240, 320))[1] == 1, 255, 0).astype(np.uint8)
    for i in range(12):
        save(tmp_path / f"Images/{i}.png", photo(i))
        save(tmp_path / f"Masks/{i}.png", mask)
    save(tmp_path / "Images/again.jpg", photo(3), quality=50)
    save(tmp_path / "Masks/again.png", mask)
    small = np.array(Image.fromarray(photo(7)).resize((200, 150)))
    save(tmp_path / "Images/small.png", small)
    save(tmp_path / "Masks/small.png", np.array(Image.fromarray(mask).resize((200, 150), Image.Resampling.NEAREST)))
    found = audit_folder(tmp_path)["near_duplicates"]
    names = {tuple(sorted(name.split("/")[-1] for name in (pair["first"], pair["second"]))) for pair in found}
    assert names == {("3", "again"), ("7", "small")}


def test_exact_duplicates_name_every_copy():
    table = pd.DataFrame({"image_id": ["a", "b", "c", "d"], "image_sha256": ["x", "y", "x", "x"]})
    table["subject"], table["mask_sha256"] = ["1", "1", "1", "2"], "m"
    assert exact_duplicates(table)[["first", "second", "same_subject"]].to_numpy().tolist() == [
        ["a", "c", True],
        ["a", "d", False],
    ]


NOTHING = pd.DataFrame(columns=PAIR_COLUMNS)


def test_overlap_shows_the_leak_of_the_published_protocol(tmp_path):
    cfg = three_domains(tmp_path)
    manifest, _ = build_manifest(cfg, progress=False)
    table = overlap(make_splits(manifest, cfg), manifest, NOTHING).set_index(["protocol", "condition", "parts"])
    assert (table.loc["subject", ["images", "files", "alike", "subjects"]] == 0).all(axis=None)
    mixed = table.loc[("published", "mixed", "train and test")]
    assert mixed["images"] == 11 + 22 and mixed["share_of_images"] == pytest.approx(33 / 36)
    assert mixed["subjects"] == 12 and mixed["share_of_subjects"] == 1
    assert table.loc[("published", "synthetic", "train and test"), "images"] == 0


def test_overlap_sees_the_same_bytes_under_two_names(tmp_path):
    cfg = three_domains(tmp_path)
    manifest, _ = build_manifest(cfg, progress=False)
    splits = make_splits(manifest, cfg)
    mixed = splits[(splits["protocol"] == "subject") & (splits["condition"] == "mixed")].set_index("part")["image_id"]
    manifest = manifest.set_index("image_id")
    manifest.loc[mixed["test"].iloc[0], "image_sha256"] = manifest.loc[mixed["train"].iloc[0], "image_sha256"]
    table = overlap(splits, manifest.reset_index(), NOTHING).set_index(["protocol", "condition", "parts"])
    assert table.loc[("subject", "mixed", "train and test"), "files"] == 1
    with pytest.raises(ValueError, match=f"{mixed['train'].iloc[0]} and {mixed['test'].iloc[0]} have the same bytes"):
        refuse_overlap(splits, manifest.reset_index(), NOTHING, cfg)


@pytest.fixture
def photos(tmp_path):
    """Six people with two different pictures each, a config that trains on them, and their manifest."""
    mask = np.where(draw_eye(0, (240, 320))[1] == 1, 255, 0).astype(np.uint8)
    for i in range(12):
        save(tmp_path / f"Photos/Images/{i // 2}/{i}.png", photo(i))
        save(tmp_path / f"Photos/Masks/{i // 2}/{i}.png", mask)

    def build(**settings):
        cfg = make_config(tmp_path, {"Photos": {"layout": "plain", "domain": "real"}}, {"real": ["Photos"]}, **settings)
        manifest, _ = build_manifest(cfg, progress=False)
        near = near_copies(manifest, from_files(manifest, {"Photos": tmp_path / "Photos"}))
        return cfg, manifest, make_splits(manifest, cfg), near

    return build


def part_of(splits, image, protocol="subject") -> str:
    return splits[(splits.protocol == protocol) & (splits.image_id == image)].part.iloc[0]


def test_clean_people_pass(photos):
    cfg, manifest, splits, near = photos()
    assert near.empty
    refuse_overlap(splits, manifest, near, cfg)


def test_a_mirrored_copy_under_another_name_is_refused(photos, tmp_path):
    """As in a public copy of SBVPI, whose mirrored eyes stand under their number plus 55."""
    _, manifest, splits, _ = photos()
    train = next(i for i in manifest.image_id if part_of(splits, i) == "train")
    test = next(i for i in manifest.image_id if part_of(splits, i) == "test")
    file = tmp_path / "Photos" / manifest.set_index("image_id").image[test]
    picture = np.array(Image.open(tmp_path / "Photos" / manifest.set_index("image_id").image[train]))
    Image.fromarray(np.ascontiguousarray(picture[:, ::-1])).save(file)
    cfg, manifest, splits, near = photos()
    assert near[["first", "second"]].to_numpy().tolist() == [sorted([train, test])] and near.turned[0] == "mirrored"
    with pytest.raises(ValueError, match=r"show one picture[\s\S]*Take one file of each pair") as error:
        refuse_overlap(splits, manifest, near, cfg)
    assert train in str(error.value) and test in str(error.value) and "mirrored" in str(error.value)
    leaky, manifest, splits, near = photos(splits={"protocols": {"real": "published"}})
    refuse_overlap(splits, manifest, near, leaky)  # published: reported, not refused
    table = overlap(splits, manifest, near).set_index(["protocol", "parts"])
    assert table.alike["subject", "train and test"] == 1 and table.alike["published", "train and test"] >= 1


def test_a_person_or_an_image_in_two_parts_is_refused(photos):
    cfg, manifest, splits, near = photos()
    rows = splits[splits.protocol == "subject"].set_index("part")
    person = manifest.set_index("image_id").subject
    renamed = manifest.assign(subject=person[rows.image_id["train"].iloc[0]])
    with pytest.raises(ValueError, match=r"real, train and test.*show one person, Photos:\d"):
        refuse_overlap(splits, renamed, near, cfg)
    twice = pd.concat([splits, rows.loc[["test"]].head(1).reset_index().assign(part="train")])
    with pytest.raises(ValueError, match=f"{rows.image_id['test'].iloc[0]} is in both"):
        refuse_overlap(twice, manifest, near, cfg)


def test_a_long_list_of_pairs_is_cut(photos):
    cfg, manifest, splits, near = photos()
    with pytest.raises(ValueError, match=r"and \d+ more") as error:
        refuse_overlap(splits, manifest.assign(image_sha256="x"), near, cfg)
    assert len(str(error.value).splitlines()) == 13
