"""Checkpoints: whole or refused, with the one before as a fallback."""

import json

import pytest
import torch
from safetensors.torch import save_file

from cgdseg.files import write_atomic
from cgdseg.models.registry import build_system
from cgdseg.models.weights import (
    KEPT,
    BrokenCheckpoint,
    content_hash,
    epoch_path,
    load,
    load_model,
    load_newest,
    model_tensors,
    save,
    save_epoch,
)


@pytest.fixture
def tensors():
    return {"a": torch.randn(3, 4), "b": torch.arange(5), "scalar": torch.tensor(2.5)}


def test_round_trip(tmp_path, tensors):
    save(tmp_path / "c.safetensors", tensors, {"epoch": 3, "history": [{"loss": 0.1}]})
    loaded, meta = load(tmp_path / "c.safetensors")
    assert meta == {"epoch": 3, "history": [{"loss": 0.1}]}
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("damage", ["truncate", "flip a tensor bit", "flip a header bit", "empty", "text"])
def test_damage_is_detected_and_the_previous_one_used(tmp_path, tensors, damage):
    for epoch in (1, 2):
        save_epoch(tmp_path, epoch, tensors, {"epoch": epoch})
    path = epoch_path(tmp_path, 2)
    raw = bytearray(path.read_bytes())
    if damage == "truncate":
        raw = raw[: len(raw) // 2]
    elif damage == "flip a tensor bit":
        raw[-3] ^= 1
    elif damage == "flip a header bit":
        raw[raw.index(b"epoch") + 10] ^= 1
    else:
        raw = b"" if damage == "empty" else b"not a checkpoint"
    path.write_bytes(raw)
    with pytest.raises(BrokenCheckpoint):
        load(path)
    with pytest.warns(UserWarning, match="falling back"):
        assert load_newest(tmp_path)[1]["epoch"] == 1


def test_only_the_newest_are_kept(tmp_path, tensors):
    for epoch in range(1, 6):
        save_epoch(tmp_path, epoch, tensors, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == [epoch_path(tmp_path, e).name for e in range(6 - KEPT, 6)]


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / "table.csv"
    write_atomic(path, lambda part: part.write_text("old"))

    def fail(part):
        part.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, fail)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_model_with_tied_adapters_round_trips(tmp_path, tiny_cgdseg):
    torch.manual_seed(0)
    model = build_system(tiny_cgdseg)
    save(tmp_path / "m.safetensors", model_tensors(model), {})
    other = build_system(tiny_cgdseg)
    load_model(other, load(tmp_path / "m.safetensors")[0])
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))
    block = other.backbone.dinov2.encoder.layer[0].attention
    shared = [m.lora_A["default"].weight for m in block.modules() if hasattr(m, "lora_A")]
    assert shared[0] is shared[1] is shared[2]


def test_a_checkpoint_of_another_model_is_refused(tiny_cgdseg, tiny_unet):
    with pytest.raises(ValueError, match="fits another model"):
        load_model(build_system(tiny_unet), model_tensors(build_system(tiny_cgdseg)))


def test_the_same_content_gives_the_same_bytes(tmp_path):
    """A run's card holds the hash of its file: lost weights that are trained again must not look like other ones."""
    tensors = {name: torch.ones(3) for name in "ab"}
    for i in range(8):
        save(tmp_path / f"{i}.safetensors", tensors, {"epoch": 3})
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_files_with_two_keys_are_still_read(tmp_path):
    tensors, meta = {"a": torch.ones(3)}, {"epoch": 3}
    header = {"meta": json.dumps(meta), "sha256": content_hash(tensors, meta)}
    save_file(tensors, tmp_path / "old.safetensors", metadata=header)
    assert load(tmp_path / "old.safetensors")[1] == meta
    save_file({"a": torch.zeros(3)}, tmp_path / "old.safetensors", metadata=header)
    with pytest.raises(BrokenCheckpoint, match="altered"):
        load(tmp_path / "old.safetensors")
