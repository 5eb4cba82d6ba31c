"""Stand-ins on disk: documented names, formats, resume, rendering anew, refusal of foreign folders."""

import os
import re

import cv2
import numpy as np
import pytest

from cgdseg.config import Dataset, StandIn
from cgdseg.data import standins
from cgdseg.data.standins import CARD, write_stand_in

SIZE = (48, 64)


def make(root, layout, **changes):
    spec = {"look": "randomised", "n_images": 24, "n_subjects": 2, "seed": 3, "size": SIZE, **changes}
    return Dataset(layout=layout, root=root, domain="synthetic", stand_in=StandIn(**spec))


def names(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() and p.name != CARD)


def write(dataset, **options):
    write_stand_in(dataset, progress=False, **options)
    return names(dataset.folder)


def read(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


NAMES = {
    "syncroi": r"Synthetic_SIP/(Training|Validation)/(Images|Masks)/\d+\.png",
    "sbvpi": r"(\d+)/\1[LR]_[lrsu]_\d+(\.jpg|_(sclera|iris|pupil)\.png)",
    "masd": r"(Images/1\d\d[LR]_[lrsu]_\d+\.jpg|Masks/1\d\d[LR]_[lrsu]_\d+\.png)",
    "plain": r"(Images/\d+\.jpg|Masks/\d+\.png)",
}


@pytest.mark.parametrize("layout", NAMES)
def test_names_are_the_documented_ones(tmp_path, layout):
    written = write(make(tmp_path, layout))
    assert all(re.fullmatch(NAMES[layout], name) for name in written)
    images = [n for n in written if n.endswith(".jpg") or "/Images/" in n]
    assert len(images) == 24
    assert read(tmp_path / images[0]).shape == (*SIZE, 3)


def test_syncroi_masks_have_kit_colours_and_a_tenth_for_validation(tmp_path):
    written = write(make(tmp_path, "syncroi"))
    assert sum("Validation/Images" in n for n in written) == 2
    colours = set()
    for name in written:
        if "/Masks/" in name:
            colours |= {tuple(c) for c in read(tmp_path / name).reshape(-1, 3)[:, ::-1].tolist()}
    assert colours <= {(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)} and (255, 0, 0) in colours


def test_sbvpi_masks_are_rgba_and_few_label_the_iris(tmp_path):
    written = write(make(tmp_path, "sbvpi"))
    sclera = [n for n in written if n.endswith("_sclera.png")]
    iris = [n for n in written if n.endswith("_iris.png")]
    assert len(sclera) == 24 and 0 < len(iris) < 8 and len(iris) == sum(n.endswith("_pupil.png") for n in written)
    mask = read(tmp_path / sclera[0])
    assert mask.shape == (*SIZE, 4) and set(np.unique(mask[..., :3])) <= {0, 255} and (mask[..., 3] == 255).all()


def test_masd_masks_are_grey(tmp_path):
    written = write(make(tmp_path, "masd"))
    mask = read(tmp_path / next(n for n in written if n.startswith("Masks/")))
    assert mask.shape == SIZE and set(np.unique(mask)) <= {0, 255}
    assert len({n[7:11] for n in written if n.startswith("Images/")}) == 4  # 2 subjects x 2 eyes


def test_resume_completes_only_what_is_missing(tmp_path):
    dataset = make(tmp_path, "masd")
    first = write(dataset)
    masks = [tmp_path / n for n in first if n.startswith("Masks/")]
    content = masks[3].read_bytes()
    masks[3].unlink()
    os.utime(masks[5], (1, 1))
    assert write(dataset) == first
    assert masks[3].read_bytes() == content and masks[5].stat().st_mtime == 1


def test_workers_do_not_change_a_byte(tmp_path):
    one, two = make(tmp_path / "one", "plain", n_images=40), make(tmp_path / "two", "plain", n_images=40)
    assert write(one) == write(two, n_workers=2)
    for name in names(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_changed_spec_or_renderer_renders_anew(tmp_path, monkeypatch):
    before = write(make(tmp_path, "plain"))
    image = tmp_path / "Images/0.jpg"
    content = image.read_bytes()
    assert len(write(make(tmp_path, "plain", n_images=5, seed=4))) == 10 < len(before)
    assert image.read_bytes() != content
    os.utime(image, (1, 1))
    monkeypatch.setattr(standins, "renderer_digest", lambda: "another")
    write(make(tmp_path, "plain", n_images=5, seed=4))
    assert image.stat().st_mtime > 1


def test_a_foreign_folder_is_refused(tmp_path):
    (tmp_path / "Images").mkdir()
    photo = tmp_path / "Images/0.jpg"
    photo.write_bytes(b"a photograph")
    with pytest.raises(FileExistsError, match="stand_in"):
        write(make(tmp_path, "plain"))
    assert photo.read_bytes() == b"a photograph" and not (tmp_path / CARD).exists()


def test_foreign_files_beside_a_stale_stand_in_are_kept(tmp_path):
    write(make(tmp_path, "plain", n_images=2))
    (tmp_path / "Images/mine.jpg").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="mine.jpg"):
        write(make(tmp_path, "plain", n_images=2, seed=9))
    assert (tmp_path / "Images/mine.jpg").read_bytes() == b"mine"


def test_mistakes_in_the_spec_are_named(tmp_path):
    with pytest.raises(ValueError, match="no look 'nice'"):
        write(make(tmp_path, "plain", look="nice"))
    with pytest.raises(ValueError, match="blurr"):
        write(make(tmp_path, "plain", factors={"blurr": (0, 1)}))
    with pytest.raises(ValueError, match="written as"):
        write(make(tmp_path, "smd"))
