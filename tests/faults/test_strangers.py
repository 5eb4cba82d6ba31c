"""Nothing that strangers send is executed: the library has no way to load a pickle, and evaluates no text."""

import ast

import numpy as np
import pytest
import torch

from cgdseg.data.cache import PixelCache
from cgdseg.models import weights
from cgdseg.paths import LIB, ROOT

FILES = sorted([*LIB.rglob("*.py"), *ROOT.glob("benchmarks/*.py"), ROOT / "conftest.py"])
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
CALLS = {"eval", "exec", "compile", "read_pickle", "to_pickle", "unsafe_load", "full_load"}


def name_of(function: ast.expr) -> str:
    return ast.unparse(function)


def suspicious(tree: ast.AST) -> list[str]:
    """What could run foreign code, with its line."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found += [f"line {node.lineno}: import {name}" for name in {*map(str, names)} & MODULES]
        if not isinstance(node, ast.Call):
            continue
        name, words = name_of(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}
        unsafe = name in CALLS or name.split(".")[-1] in CALLS - {"compile", "eval", "exec"}
        unsafe |= name.endswith("torch.load") and words.get("weights_only") != "True"
        unsafe |= words.get("allow_pickle", "False") != "False" or words.get("trust_remote_code", "False") != "False"
        unsafe |= name == "yaml.load" and ast.unparse(node.args[-1]) not in {"_Loader", "yaml.SafeLoader"}
        unsafe |= words.get("shell") == "True" or name in {"os.system", "os.popen"}
        found += [f"line {node.lineno}: {name}"] if unsafe else []
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_pickle_and_no_evaluated_text(path):
    assert not suspicious(ast.parse(path.read_text()))


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "np.load(p, allow_pickle=True)",
        "yaml.load(t, yaml.Loader)",
        "eval(x)",
        "pd.read_pickle(p)",
        "run(c, shell=True)",
    ],
)
def test_the_search_finds_what_it_looks_for(source):
    assert suspicious(ast.parse(source))


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('it ran')",)


def test_a_pickle_under_every_name_is_refused(tmp_path, count):
    torch.save({"weights": Bomb()}, tmp_path / "a.safetensors")
    with pytest.raises(weights.BrokenCheckpoint):
        weights.load(tmp_path / "a.safetensors")
    (tmp_path / "meta.json").write_text('{"fingerprint": "", "image_ids": ["a"], "size": [2, 2]}')
    good = {"images": np.zeros((1, 2, 2, 3), np.uint8), "labels": np.zeros((1, 2, 2), np.uint8)}
    bad = {
        "an object": np.array([Bomb()], dtype=object),
        "NaN": np.full((1, 2, 2), np.nan),
        "float": np.zeros((1, 2, 2), np.float32),
        "another shape": np.zeros((2, 2, 2), np.uint8),
        "another order": np.zeros((1, 2), np.uint8),
    }
    for broken in bad.values():
        for name in good:
            for other, array in good.items():
                np.save(tmp_path / f"{other}.npy", array)
            assert PixelCache(tmp_path).read(0)[0].shape == (2, 2, 3)
            np.save(tmp_path / f"{name}.npy", broken)
            with pytest.raises(ValueError, match="npy|Object|pickle"):
                PixelCache(tmp_path)
    count("pickle, NaN or wrong shape in a checkpoint or cache", 1 + 2 * len(bad))
