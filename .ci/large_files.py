"""Refuse files that a repository keeps forever: python .ci/large_files.py FILE... -> exit 1 where one is too large.

Data, weights and results are made, not stored; the model that ships is the exception."""

import sys
from pathlib import Path

LIMIT = 1_000_000  # bytes
ALLOWED = {"lib/cgdseg/release/best.safetensors"}


def too_large(names: list[str]) -> list[str]:
    """What to say of each file above the limit."""
    files = [Path(name) for name in names if name not in ALLOWED]
    sizes = [(path, path.stat().st_size) for path in files if path.is_file()]
    return [f"{path} has {size:,} bytes, more than {LIMIT:,}: keep it out" for path, size in sizes if size > LIMIT]


if __name__ == "__main__":
    problems = too_large(sys.argv[1:])
    print("\n".join(problems))
    sys.exit(bool(problems))
