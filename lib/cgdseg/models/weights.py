"""Checkpoints that survive a kill: written beside, flushed, renamed; hashed; tensors and JSON only, no pickle.

A checkpoint is one .safetensors file; its header holds JSON and the hash of everything in the file."""

import errno
import hashlib
import json
import re
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from cgdseg.files import write_atomic

KEPT = 2  # the last, and one to fall back to


class BrokenCheckpoint(RuntimeError):
    """A checkpoint that is truncated, altered or not a checkpoint."""


def content_hash(tensors: dict[str, Tensor], meta: dict) -> str:
    """SHA-256 over names, types, shapes, bytes and meta: the same on every machine."""
    digest = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def save(path: Path, tensors: dict[str, Tensor], meta: dict) -> str:
    """Write tensors and JSON-able meta; return their hash, which the file also carries."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    meta = json.loads(json.dumps(meta))
    content = content_hash(tensors, meta)
    header = {"about": json.dumps({"meta": meta, "sha256": content})}  # safetensors writes several keys in any order
    write_atomic(path, lambda part: _save_file(part, tensors, header))
    return content


def _save_file(path: Path, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    """safetensors' writer, whose error on a full disk is no OSError."""
    try:
        save_file(tensors, path, metadata=header)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(int(number[1]) if number else errno.EIO, str(error)) from None


def load(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Read tensors and meta back; BrokenCheckpoint when the file is not exactly what was written."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata()
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  the file may go away
        about = json.loads(header["about"]) if "about" in header else header | {"meta": json.loads(header["meta"])}
        meta, expected = about["meta"], about["sha256"]  # "meta" and "sha256" apart: files from before they were one
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise BrokenCheckpoint(f"{path} is not a whole checkpoint: {error}") from None
    if content_hash(tensors, meta) != expected:
        raise BrokenCheckpoint(f"{path} was altered after it was written: its hash does not match")
    return tensors, meta


def epoch_path(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:04d}.safetensors"


def save_epoch(folder: Path, epoch: int, tensors: dict[str, Tensor], meta: dict) -> None:
    """Save one epoch and drop all but the newest KEPT ones."""
    save(epoch_path(folder, epoch), tensors, meta)
    for old in sorted(folder.glob("epoch-*.safetensors"))[:-KEPT]:
        old.unlink()


def load_newest(folder: Path) -> tuple[dict[str, Tensor], dict] | None:
    """The newest checkpoint that is whole, with a warning for each that is not; None when there is none."""
    for path in sorted(folder.glob("epoch-*.safetensors"), reverse=True):
        try:
            return load(path)
        except BrokenCheckpoint as error:
            warnings.warn(f"{error}; falling back to the one before it", stacklevel=2)
    return None


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers; a tensor that several modules share is there once, under its first name."""
    shared = dict(model.state_dict(keep_vars=True))
    seen: dict[int, str] = {}
    return {name: tensor for name, tensor in shared.items() if seen.setdefault(id(tensor), name) == name}


def load_model(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy tensors saved from `model_tensors` into a model of the same settings; ValueError names what differs."""
    own = model_tensors(model)
    missing, unknown = own.keys() - tensors.keys(), tensors.keys() - own.keys()
    if missing or unknown:
        raise ValueError(f"the checkpoint fits another model: missing {sorted(missing)}, unknown {sorted(unknown)}")
    with torch.no_grad():
        for name, tensor in own.items():
            if tensor.shape != tensors[name].shape:
                found, needed = tuple(tensors[name].shape), tuple(tensor.shape)
                raise ValueError(f"the checkpoint fits another model: {name} is {found}, not {needed}")
            tensor.copy_(tensors[name])


def read_run(folder: Path) -> dict | None:
    """What run.json says of a finished run; None while it is not finished. ValueError when it is damaged."""
    path = Path(folder) / "run.json"
    try:
        card = json.loads(path.read_text()) if path.exists() else None
    except ValueError:
        card = {}
    if card is not None and not (isinstance(card, dict) and {"run_id", "weights_sha256"} <= card.keys()):
        raise ValueError(f"{path} is damaged: train the run again, or copy its folder again")
    return card
