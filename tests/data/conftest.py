"""A small dataset of each domain, audited."""

import pytest
from tiny_data import three_domains

from cgdseg import paths
from cgdseg.data.manifest import build_manifest, save_manifest


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A config with its files and manifest on disk."""
    monkeypatch.setattr(paths, "HOME", tmp_path)
    cfg = three_domains(tmp_path)
    manifest, findings = build_manifest(cfg, progress=False)
    save_manifest(cfg, manifest, findings)
    return cfg, manifest
