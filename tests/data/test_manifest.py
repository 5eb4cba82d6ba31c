"""The manifest: every bad file is named and left out, and every name survives the CSV."""

import os

import numpy as np
import pandas as pd
import pytest
from tiny_data import (
    SIP,
    draw_eye,
    load_findings,
    make_config,
    save,
    save_pair,
    three_domains,
    write_masd,
)

from cgdseg import paths
from cgdseg.data.manifest import MANIFEST, build_manifest, save_manifest, skin_tone
from cgdseg.data.stored import FINDINGS, load_manifest


def build(root, layout, domain="real", **settings):
    """The manifest and findings of one dataset D at root/D."""
    cfg = make_config(root, {"D": {"layout": layout, "domain": domain, **settings}}, {"c": ["D"]})
    return build_manifest(cfg, progress=False)


def left_out(findings) -> dict[str, str]:
    return dict(zip(findings.loc[~findings["used"], "file"], findings.loc[~findings["used"], "reason"], strict=True))


def test_manifest_of_three_domains(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "HOME", tmp_path)
    cfg = three_domains(tmp_path)
    manifest, findings = build_manifest(cfg, progress=False)
    assert list(manifest.columns) == MANIFEST and list(findings.columns) == FINDINGS and findings.empty
    assert manifest["image_id"].is_unique and len(manifest) == 14 + 12 + 24
    assert (manifest.groupby("subject")["dataset"].nunique() == 1).all()
    _, labels = draw_eye(seed=1010)
    row = manifest.set_index("image_id").loc["MASD/101L_s_1"]
    assert row["sclera"] == pytest.approx((labels == 1).mean(), abs=1e-6) and (row["height"], row["width"]) == (48, 64)
    assert manifest.tone.between(-90, 90).all()
    save_manifest(cfg, manifest, findings)
    pd.testing.assert_frame_equal(load_manifest(cfg), manifest, check_dtype=False)
    again, _ = build_manifest(cfg, progress=False, n_workers=2)
    pd.testing.assert_frame_equal(again, manifest)


def test_missing_folder_names_dataset_and_mend(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"dataset D has no folder .*data/README.md"):
        build(tmp_path, "masd")
    with pytest.raises(FileNotFoundError, match="01_data_audit"):
        build(tmp_path, "masd", stand_in={"look": "masd", "n_images": 1})


def test_bad_files_are_named_and_left_out(tmp_path):
    root = tmp_path / "D"
    write_masd(root)
    images, masks = root / "Images", root / "Masks"
    (images / "101L_s_1.jpg").write_bytes(b"")
    (masks / "101L_s_1.png").write_bytes(b"no mask")
    save(masks / "101R_s_1.png", SIP[draw_eye(0, size=(64, 48))[1]])
    save(masks / "102L_s_1.png", np.full((48, 64), 255, np.uint8))
    save(masks / "102R_s_1.png", np.where(draw_eye(0)[1] == 0, 255, 0).astype(np.uint8))  # white outside
    save(masks / "103L_s_1.png", SIP[draw_eye(0)[1]][..., ::-1])  # blue and red swapped
    save(masks / "103R_s_1.png", draw_eye(0)[0])
    (masks / "104L_s_1.png").unlink()
    save(images / "104R_s_1.png", draw_eye(0)[0])  # beside 104R_s_1.jpg
    (images / "105L_s_1.jpg").rename(images / "105L_s_1.heic")
    (images / "105R_s_1.jpg").rename(images / "105R.jpg")
    save(masks / "106L_s_1.png", np.zeros((48, 64), np.uint8))
    manifest, findings = build(tmp_path, "masd")
    assert list(manifest["image_id"]) == ["D/106L_s_1", "D/106R_s_1"]
    reasons = left_out(findings)
    for file, words in {
        "Images/101L_s_1.jpg": "zero bytes",
        "Masks/101L_s_1.png": "not an image",
        "Masks/101R_s_1.png": "has another size than its image",
        "Masks/102L_s_1.png": "is full",
        "Masks/102R_s_1.png": "white outside",
        "Masks/103L_s_1.png": "sclera inside its pupil",
        "Masks/103R_s_1.png": "unknown colours",
        "Images/104L_s_1.jpg": "no mask",
        "Images/104R_s_1.jpg": "shares its mask",
        "Images/104R_s_1.png": "shares its mask",
        "Images/105L_s_1.heic": "not named like an image",
        "Images/105R.jpg": "does not tell subject",
    }.items():
        assert words in reasons.pop(file), file
    assert set(reasons) == {"Masks/105R_s_1.png"}  # lost its image with the new name
    size = findings.set_index("file").mend["Masks/101R_s_1.png"]
    assert "it is 64x48, and 101R_s_1.jpg is 48x64" in size
    kept = findings[findings["used"]]
    assert list(kept["file"]) == ["Masks/106L_s_1.png"] and "no sclera" in kept["reason"].item()
    assert findings["mend"].str.len().min() > 5


def test_names_that_look_like_something_else_survive_the_csv(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "HOME", tmp_path)
    names = ["NA", "1e5", "007", 'q"uote', "new\nline", "car\rriage", "<b>", "目", "a,b", " space ", "-1", "True"]
    for i, name in enumerate(names):
        save_pair(tmp_path / f"D/Images/{name}/{name}.png", tmp_path / f"D/Masks/{name}/{name}.png", seed=i)
    cfg = make_config(tmp_path, {"D": {"layout": "plain", "domain": "real"}}, {})
    manifest, findings = build_manifest(cfg, progress=False)
    assert set(manifest["subject"]) == {f"D:{name}" for name in names}
    save_manifest(cfg, manifest, findings)
    loaded = load_manifest(cfg)
    for column in ("image_id", "subject", "image", "phash", "eye"):
        assert list(loaded[column]) == list(manifest[column])
    assert load_findings(cfg).empty


def test_names_that_are_no_text_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "HOME", tmp_path)
    (tmp_path / "D/Images").mkdir(parents=True)
    (tmp_path / "D/Masks").mkdir(parents=True)
    for folder in ("Images", "Masks"):
        data = save(tmp_path / "x.png", draw_eye(0)[0]).read_bytes()
        with open(os.fsencode(tmp_path / "D" / folder) + b"/eye\xff.png", "wb") as file:
            file.write(data)
    cfg = make_config(tmp_path, {"D": {"layout": "plain", "domain": "real"}}, {})
    manifest, findings = build_manifest(cfg, progress=False)
    assert manifest.empty and findings["file"][0] == "Images/eye\\xff.png"
    save_manifest(cfg, manifest, findings)


def test_same_stem_twice_stays_unique(tmp_path):
    for i, folder in enumerate(("Images/x", "x/Images")):
        save_pair(tmp_path / "D" / folder / "a.jpg", tmp_path / "D" / folder / "a_m.png", seed=i)
    manifest, findings = build(tmp_path, "plain", images="**/*.jpg", masks="**/{stem}_m.png")
    assert findings.empty and set(manifest["image_id"]) == {"D/Images/x/a.jpg", "D/x/Images/a.jpg"}


def test_unused_folder_is_said(tmp_path):
    (tmp_path / "D").mkdir()
    manifest, findings = build(tmp_path, "sbvpi")
    assert manifest.empty and "no pair" in findings["reason"][0] and list(manifest.columns) == MANIFEST


def test_skin_tone_is_that_of_what_surrounds_the_eye():
    """A pale, a brown and a dark frame in the order of their typology angle, whatever the eye inside them shows."""
    found = []
    for colour in ((235, 205, 180), (150, 105, 75), (70, 45, 35)):
        image, labels = np.full((40, 60, 3), colour, np.uint8), np.zeros((40, 60), np.uint8)
        image[10:30, 15:45], labels[12:28, 17:43] = 255, 1
        labels[10:30, 15:45] = np.maximum(labels[10:30, 15:45], 1)
        found.append(skin_tone(image, labels))
        assert skin_tone(image, np.ones_like(labels)) == skin_tone(image, np.zeros_like(labels))  # nothing is left
    lab = angle_by_hand(150, 105, 75)
    assert found[0] > 41 > found[1] > found[2] and found[1] == pytest.approx(lab, abs=0.5)


def angle_by_hand(red: int, green: int, blue: int) -> float:
    """Typology angle from CIE's definitions (D65)."""
    rgb = np.array([red, green, blue]) / 255
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    _, y, z = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    light, b = 116 * np.cbrt(y) - 16, 200 * (np.cbrt(y) - np.cbrt(z / 1.089))
    return float(np.degrees(np.arctan2(light - 50, b)))
