"""A folder of real-looking photographs works like any dataset: audit, prediction, scores. Skipped where it is not."""

import json

import pytest
from typer.testing import CliRunner

from cgdseg.cli.shared import app
from cgdseg.config import schema
from cgdseg.data import cache, manifest, splits
from cgdseg.paths import ROOT
from cgdseg.training import loop, runs

PHOTOS = ROOT.parent / "shared" / "data" / "bioculargan"
pytestmark = pytest.mark.skipif(not PHOTOS.is_dir(), reason="the licensed photographs are not beside this checkout")
COLOURS = {"sclera": (0, 255, 0), "iris": (0, 0, 255), "pupil": (255, 0, 0)}


@pytest.fixture
def cfg(tiny_config):
    photos = {"layout": "plain", "root": PHOTOS, "domain": "real", "test_only": True, "colours": COLOURS}
    photos |= {"images": "*.jpg", "masks": "{stem}_mask.png"}
    return schema.Config(
        **tiny_config.model_dump() | {"datasets": {**tiny_config.model_dump()["datasets"], "P": photos}}
    )


def test_they_are_read_whole_and_only_tested_on(cfg):
    eyes, findings = manifest.build_manifest(cfg, progress=False)
    photos = eyes[eyes.dataset == "P"]
    assert len(photos) == 8 and photos.has_iris.all() and photos.sclera.between(0.1, 0.3).all()
    assert findings[findings.dataset == "P"].reason.tolist() == ["counts each of 8 images as a person of its own"]
    parts = splits.make_splits(eyes, cfg)
    assert set(parts[parts.image_id.isin(photos.image_id)].part) == {"test"}
    assert len(cache.build_cache(cfg, eyes, (36, 48), progress=False)) == len(eyes)


def test_predict_score_and_audit_them(tiny_config, home):
    run = tiny_config.run("unet", "synthetic", 42)
    loop.train(tiny_config, run)
    out, result = home / "out", home / "scores.json"
    images = home / "only_images"
    images.mkdir()
    for path in PHOTOS.glob("*.jpg"):
        (images / path.name).symlink_to(path)

    def invoke(*words):
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.output

    invoke("predict", "--run", runs.run_folder(tiny_config, run), "--images", images, "--out", out)
    invoke("score", "--predictions", out, "--truth", PHOTOS, "--colour", "sclera=0,255,0", "--json", result)
    assert json.loads(result.read_text())["images"] == 8
    invoke("audit", PHOTOS, "--json", home / "audit.json")
    found = json.loads((home / "audit.json").read_text())["findings"]
    assert sum(not finding["used"] for finding in found) == 8  # green is not the kit's sclera: named
    table = [word for part, rgb in COLOURS.items() for word in ("--colour", f"{part}={','.join(map(str, rgb))}")]
    invoke("audit", PHOTOS, "--json", home / "audit.json", *table)
    found = json.loads((home / "audit.json").read_text())
    assert found["pairs"] == 8 and all(finding["used"] for finding in found["findings"])
