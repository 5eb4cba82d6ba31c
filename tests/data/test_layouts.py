"""Layout readers: every pair is found with who and how, and never a stranger's mask."""

import os
import shutil

import pandas as pd
import pytest
from PIL import Image
from test_manifest import build, left_out
from tiny_data import (
    GREEN_SCLERA,
    draw_eye,
    make_config,
    save,
    save_pair,
    write_masd,
    write_sbvpi,
    write_syncroi,
)

from cgdseg import paths
from cgdseg.data.layouts import read_layout
from cgdseg.data.manifest import build_manifest

EYES = paths.ROOT.parent / "shared" / "data" / "bioculargan"


def test_syncroi(tmp_path):
    write_syncroi(tmp_path / "D", n_train=12, n_val=3)
    manifest, findings = build(tmp_path, "syncroi", domain="synthetic")
    assert findings.empty and manifest["part"].value_counts().to_dict() == {"Training": 12, "Validation": 3}
    assert manifest["has_iris"].all() and manifest["subject"].nunique() == 15
    assert "D/Synthetic_SIP/Training/7" in set(manifest["image_id"])


def test_the_real_kit_is_grouped_by_generator(tmp_path):
    for part, count in (("Training", 10_000), ("Validation", 1_000)):
        for kind in ("Images", "Masks"):
            folder = tmp_path / "D" / part / kind
            folder.mkdir(parents=True)
            for i in range(count):
                (folder / f"{i}.png").touch()
    cfg = make_config(tmp_path, {"D": {"layout": "syncroi", "domain": "synthetic"}}, {})
    pairs, _ = read_layout("D", cfg.datasets["D"])
    halves = pd.Series([(pair.part, pair.subject) for pair in pairs]).value_counts().to_dict()
    assert halves == {
        ("Training", "D:caucasian"): 5000,
        ("Training", "D:asian"): 5000,
        ("Validation", "D:caucasian"): 500,
        ("Validation", "D:asian"): 500,
    }
    assert {pair.image.stem: pair.subject for pair in pairs if pair.part == "Training"}["4999"] == "D:caucasian"


def test_sbvpi(tmp_path):
    write_sbvpi(tmp_path / "D")
    os.remove(tmp_path / "D" / "2" / "2L_l_1_sclera.png")
    save(tmp_path / "D" / "3" / "IMG_0001.jpg", draw_eye(0)[0])
    save(tmp_path / "D" / "3" / "3R_u_9_sclera.png", draw_eye(0)[1])
    rgba = Image.open(tmp_path / "D" / "4" / "4L_l_1.jpg").convert("RGBA")  # as 34R... in the real set
    os.remove(tmp_path / "D" / "4" / "4L_l_1.jpg")
    rgba.save(tmp_path / "D" / "4" / "4L_l_1.png")
    manifest, findings = build(tmp_path, "sbvpi")
    assert len(manifest) == 23 and manifest["subject"].nunique() == 6
    row = manifest.set_index("image_id").loc["D/5/5R_s_1"]
    assert (row["subject"], row["eye"], row["gaze"], row["part"]) == ("D:5", "R", "s", "")
    assert set(manifest.loc[manifest["has_iris"], "subject"]) == {"D:1"}
    assert left_out(findings) == {
        "2/2L_l_1.jpg": "has no mask",
        "3/IMG_0001.jpg": "has a name that does not tell subject and eye",
        "3/3R_u_9_sclera.png": "is a mask without an image",
    }


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("suffix", ["", "_sclera"])
def test_masd(tmp_path, nested, suffix):
    write_masd(tmp_path / "D", nested=nested, suffix=suffix)
    manifest, findings = build(tmp_path, "masd")
    assert findings.empty and len(manifest) == 12
    assert manifest["subject"].nunique() == 6 and set(manifest["eye"]) == {"L", "R"}


def test_masd_with_masks_beside(tmp_path):
    write_sbvpi(tmp_path / "D", subjects=[101, 202])
    manifest, _ = build(tmp_path, "masd")
    assert len(manifest) == 8 and set(manifest["subject"]) == {"D:101", "D:202"}


def test_mobius(tmp_path):
    root = tmp_path / "D"
    for name in ("1/1_1i_Ll_1", "1/1_2n_Rs_2", "2/2_3p_Ru_bad", "2/2_1i_Lr_1", "3/3_1i_Ll_1"):
        save_pair(root / "Images" / f"{name}.jpg", root / "Masks" / f"{name}.png", seed=hash(name) % 99, coding="sip")
    os.remove(root / "Masks" / "3" / "3_1i_Ll_1.png")
    manifest, findings = build(tmp_path, "mobius")
    assert sorted(manifest["image_id"]) == ["D/1/1_1i_Ll_1", "D/1/1_2n_Rs_2", "D/2/2_1i_Lr_1"]
    assert set(zip(manifest["eye"], manifest["gaze"], strict=True)) == {("L", "l"), ("R", "s"), ("L", "r")}
    assert manifest.set_index("image_id").device.to_dict()["D/1/1_2n_Rs_2"] == "phone 2"
    assert left_out(findings) == {
        "Images/2/2_3p_Ru_bad.jpg": "is marked bad by its makers",
        "Images": "holds 1 images without a mask",
    }


def test_smd_and_sld(tmp_path):
    for i, person in enumerate((1, 1, 2)):
        where = f"{person}/{i % 2} (2)"  # the same names in every folder
        save_pair(tmp_path / "smd/D/Images" / f"{where}.jpg", tmp_path / "smd/D/Masks" / f"{where}.png", seed=i)
        name = f"{person} ({i})"
        save_pair(tmp_path / "sld/D/Images" / f"{name}.jpg", tmp_path / "sld/D/Masks" / f"{name}.png", seed=i)
    for layout in ("smd", "sld"):
        manifest, findings = build(tmp_path / layout, layout)
        assert findings.empty and sorted(manifest["subject"]) == ["D:1", "D:1", "D:2"]


def test_a_mask_of_another_person_with_the_same_name_is_never_taken(tmp_path):
    for person in (1, 2):
        save_pair(tmp_path / "D/Images" / f"{person}/a.jpg", tmp_path / "D/Masks" / f"{person}/a.png", seed=person)
    os.remove(tmp_path / "D/Masks/1/a.png")
    for layout in ("smd", "plain"):
        manifest, findings = build(tmp_path, layout)
        assert list(manifest["subject"]) == ["D:2"] and left_out(findings) == {"Images/1/a.jpg": "has no mask"}
    shutil.move(tmp_path / "D/Masks/2/a.png", tmp_path / "D/Masks/a.png")
    manifest, findings = build(tmp_path, "smd")
    assert manifest.empty and "shares its mask" in left_out(findings)["Images/1/a.jpg"]


def test_plain_globs(tmp_path):
    root = tmp_path / "D"
    for stem in ("a", "a.b", "we[i]rd"):
        save_pair(root / f"{stem}.png", root / f"{stem}_mask.png", seed=len(stem))
    save(root / "alone_mask.png", draw_eye(1)[1])
    (root / "notes.txt").write_text("not data")
    manifest, findings = build(tmp_path, "plain", images="*.png", masks="{stem}_mask.png")
    assert sorted(manifest["image_id"]) == ["D/a", "D/a.b", "D/we[i]rd"]
    assert left_out(findings) == {"alone_mask.png": "has no mask"}
    with pytest.raises(ValueError, match="stem"):
        build(tmp_path, "plain", masks="Masks/*.png")


@pytest.mark.skipif(not EYES.is_dir(), reason=f"{EYES} is not there (an optional download)")
def test_bioculargan():
    settings = {"images": "*.jpg", "masks": "{stem}_mask.png"}
    manifest, findings = build_folder(EYES, colours=GREEN_SCLERA, **settings)
    assert len(manifest) == 8 and manifest["has_iris"].all()
    assert findings.reason.tolist() == ["counts each of 8 images as a person of its own"] and findings.used.all()
    assert manifest["sclera"].between(0.1, 0.3).all()
    manifest, findings = build_folder(EYES, **settings)  # read by the kit's colours, sclera and pupil change places
    assert manifest.empty and findings["mend"].str.contains("colours").sum() == 8


def build_folder(folder, **settings):
    cfg = make_config(folder.parent, {folder.name: {"layout": "plain", "domain": "real", **settings}}, {})
    return build_manifest(cfg, progress=False)


def test_a_pattern_names_the_person(tmp_path):
    for i, name in enumerate(["p1_1", "p1_2", "p2_1", "x"]):
        save_pair(tmp_path / f"D/Shots/{name}.jpg", tmp_path / f"D/Shots/{name}_m.png", seed=i)
    globs = {"images": "Shots/*.jpg", "masks": "Shots/{stem}_m.png"}
    manifest, findings = build(tmp_path, "plain", **globs)
    assert manifest["subject"].nunique() == 4 and "person of its own" in findings["reason"][0] and findings["used"][0]
    manifest, findings = build(tmp_path, "plain", person=r"^(p\d+)_", **globs)
    assert manifest["subject"].tolist() == ["D:p1", "D:p1", "D:p2"]
    assert findings["file"].tolist() == ["Shots/x.jpg"] and "names no person" in findings["reason"][0]
