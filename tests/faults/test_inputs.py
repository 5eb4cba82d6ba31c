"""A thousand broken files under hostile names: none crashes anything, none is used silently, each is named."""

import html.parser
import os

import numpy as np
import pandas as pd
import pytest
import torch
from mutants import MUTANTS, eye, write_folder
from tiny_data import load_findings, make_config
from typer.testing import CliRunner

from cgdseg import paths
from cgdseg.cli.shared import app
from cgdseg.data.cache import build_cache
from cgdseg.data.images import read_image, read_labels
from cgdseg.data.manifest import build_manifest, save_manifest
from cgdseg.data.stored import load_manifest
from cgdseg.figures.html import table_html
from cgdseg.folders import predict as inference
from cgdseg.folders import score
from cgdseg.models.predictor import Segmenter
from cgdseg.models.registry import build_system

SIZE = (24, 32)
LONG = [pytest.param(30, marks=pytest.mark.faults, id="long")]  # 30 of each kind


def what_became(made, folder, manifest, findings) -> dict[str, list]:
    """Kinds of loss -> the mutants they happened to."""
    used, named = set(manifest["image"]), set(findings["file"])
    lost = {"used silently": [], "not named": [], "false alarm": []}
    for kind, expectation, image, mask, seed in made:
        names = {path.relative_to(folder).as_posix() for path in (image, mask)}
        is_used, is_named = bool(names & used), bool(names & named)
        if expectation == "clean" and (is_named or not is_used):
            lost["false alarm"].append(kind)
        if not is_used and not is_named:
            lost["not named"].append((kind, image))
        if is_used and (expectation == "refused" or (expectation == "noted" and not is_named)):
            lost["used silently"].append((kind, image))
        if is_used and expectation == "exact" and not is_intact(image, mask, seed):
            lost["used silently"].append((kind, image))
    return lost


def is_intact(image, mask, seed) -> bool:
    pixels, white = eye(seed)
    lossy = image.suffix in {".jpg", ".webp"}
    difference = np.abs(read_image(image).astype(int) - pixels)
    return difference.mean() < (12 if lossy else 1e-9) and np.array_equal(read_labels(mask), white > 0)


@pytest.mark.parametrize("n_each", [pytest.param(1, id="quick"), *LONG])
def test_every_broken_file_is_named_and_none_is_used(tmp_path, monkeypatch, n_each, count):
    monkeypatch.setattr(paths, "HOME", tmp_path)
    made = write_folder(tmp_path / "D", n_each)
    cfg = make_config(tmp_path, {"D": {"layout": "plain", "domain": "real"}}, {"c": ["D"]})
    manifest, findings = build_manifest(cfg, progress=False, n_workers=1)
    lost = what_became(made, tmp_path / "D", manifest, findings)
    count("broken or unusual image or mask, audited", len(made), sum(map(len, lost.values())))
    assert not any(lost.values()), lost
    save_manifest(cfg, manifest, findings)
    assert list(load_manifest(cfg)["image_id"]) == list(manifest["image_id"])
    assert list(load_findings(cfg)["file"]) == list(findings["file"])
    assert len(build_cache(cfg, manifest, SIZE, n_workers=1, progress=False)) == len(manifest)
    page = table_html(findings.assign(used=findings["used"].astype(str)), "Findings")
    cells = Cells(page)
    assert cells.tags <= {"div", "table", "caption", "span", "thead", "tbody", "tr", "th", "td"}
    assert {" ".join(text.split()) for text in findings["file"]} <= {" ".join(text.split()) for text in cells.texts}


class Cells(html.parser.HTMLParser):
    """Names of all tags, and the text of each cell."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts = set(), []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.texts.append("")

    def handle_data(self, data):
        self.texts[-1] += data


@pytest.mark.parametrize("n_each", [pytest.param(1, id="quick"), *LONG])
def test_predicting_and_scoring_names_what_it_leaves_out(tmp_path, tiny_unet, n_each, count):
    made = write_folder(tmp_path / "D", n_each)
    with open(os.fsencode(tmp_path / "D/Images") + b"/not utf-8 \xff.png", "wb") as file:
        file.write(made[0][2].read_bytes())
    for name in ("long" * 62 + ".png", "two.of.png"):
        (tmp_path / "D/Images" / name).write_bytes(made[0][2].read_bytes())
    model = build_system(tiny_unet).eval()
    shape = {"input_size": tiny_unet.input_size, "classes": tiny_unet.classes}
    segmenter = Segmenter(name="toy", model=model, **shape, threshold=0.5, device=torch.device("cpu"))
    table = inference.predict_folder(segmenter, tmp_path / "D/Images", tmp_path / "out")
    problems = table[table.problem != ""].set_index("file").problem
    bad = [kind for kind, (expectation, _) in MUTANTS.items() if expectation == "refused" and "mask" not in kind]
    bad = [kind for kind in bad if kind not in {"EXIF quarter turn", "link to nowhere"}]  # an image alone may be turned
    silent = [(kind, image.name) for kind, _, image, _, _ in made if kind in bad and image.name not in problems.index]
    assert all(name in table.file.tolist() for name in ("long" * 62 + ".png", "two.of.png"))
    written = len(list((tmp_path / "out/Predictions").rglob("*.png")))
    assert written == (table.problem == "").sum() and not list((tmp_path / "out").rglob("*.part"))
    count("broken or unusual image, predicted", len(made) + 3, len(silent))
    assert not silent
    scores = score.score_folders(tmp_path / "out", tmp_path / "D/Masks")
    assert isinstance(scores, pd.DataFrame) and (scores.f1.notna() | (scores.problem != "")).all()
    count("broken or unusual mask, scored", len(scores), int((scores.f1.isna() & (scores.problem == "")).sum()))


def test_names_that_no_terminal_can_print(tmp_path, count):
    """Through the command line: names that are not UTF-8 or hold control characters."""
    made = write_folder(tmp_path / "D", 1)
    for name in (b"/\xff.png", b"/\x1b[2J.png"):
        with open(os.fsencode(tmp_path / "D/Images") + name, "wb") as file:
            file.write(made[0][2].read_bytes()[:99])
    predict = ["predict", "--images", str(tmp_path / "D/Images"), "--out", str(tmp_path / "out")]
    for command, code in ((["audit", str(tmp_path / "D")], 0), (predict, 1)):
        result = CliRunner().invoke(app, command, color=True)
        assert result.exit_code == code and "\x1b[2J" not in result.output
        assert "\\x1b[2J.png" in result.output
    count("name that no terminal can print", 4)
