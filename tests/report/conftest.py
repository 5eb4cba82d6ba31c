"""A toy project for what surrounds notebooks."""

import pytest
import toys

from cgdseg import paths


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A toy project folder; kernels see it through the environment."""
    monkeypatch.setattr(paths, "HOME", tmp_path)
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setenv("CGDSEG_HOME", str(tmp_path))
    (tmp_path / "toy.yaml").write_text(f"# A toy\n# of <four> eyes.\n{toys.CONFIG}")
    return tmp_path
