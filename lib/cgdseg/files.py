"""Files that are whole or not there: written beside, flushed to disk, renamed; and their hashes."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path


def write_atomic(path: Path, content: str | bytes | Callable[[Path], object]) -> None:
    """Write all of a file or nothing of it. `content` may be a function that writes to the path it is given."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if callable(content):
            content(part)
        else:
            part.write_bytes(content.encode() if isinstance(content, str) else content)
        with open(part, "rb") as file:
            os.fsync(file.fileno())  # a rename may reach the disk before the bytes do
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Hash of a file's bytes, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
