"""Which library files a notebook or a module really uses, and a hash of what they do.

closure("notebooks/03_training.ipynb") -> [lib/cgdseg/config/base.py, ...]; code_digest([...]) -> SHA-256 of their code.
Comments, docstrings and layout leave the hash alone, so polishing the text retrains nothing."""

import ast
import hashlib
import json
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

from cgdseg.paths import LIB, ROOT


def digest(value: Any) -> str:
    """SHA-256 of settings, nested as they come."""
    plain = json.dumps(value, default=lambda settings: settings.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()


def sha256(path: Path) -> str:
    """Hash of a file's bytes, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


PACKAGE = "cgdseg"


def closure(root: str | Path, lib: Path = LIB) -> list[Path]:
    """Every file below `lib` that `root` imports, directly or not, also inside functions; sorted.

    `root` is a .py or .ipynb file, or a module name such as "cgdseg.training" (which then belongs to its closure)."""
    first = _file(root, lib) if isinstance(root, str) and root.split(".")[0] == PACKAGE else Path(root)
    if first is None or not first.is_file():
        raise FileNotFoundError(f"{root} is neither a module of {PACKAGE} nor a file")
    found, queue = {first}, [first]
    while queue:
        new = imported(queue.pop(), lib) - found
        found |= new
        queue += new
    return sorted(path for path in found if path.is_relative_to(lib))


def imported(path: Path, lib: Path = LIB) -> set[Path]:
    """The library files one file imports itself, with the packages they lie in."""
    return _read(path, path.stat().st_mtime_ns, path.stat().st_size, lib)[0]


def depends_on(roots: Iterable[str | Path], lib: Path = LIB) -> list[Path]:
    """The files on which results of `roots` depend: their closures without the settings' own.

    Settings are hashed by value where they are used, so that a new section changes nothing that does without it."""
    found = {path for root in roots for path in closure(root, lib)}
    return sorted(path for path in found if not path.is_relative_to(lib / PACKAGE / "config"))


def code_digest(roots: Iterable[str | Path], lib: Path = LIB) -> str:
    """SHA-256 of the code that `roots` depend on."""
    total = hashlib.sha256()
    for path in depends_on(roots, lib):
        code = _read(path, path.stat().st_mtime_ns, path.stat().st_size, lib)[1]
        total.update(f"{path.relative_to(lib).as_posix()} {code}\n".encode())
    return total.hexdigest()


@cache  # many notebooks share a library
def _read(path: Path, mtime: int, size: int, lib: Path) -> tuple[set[Path], str]:
    tree = parse(path)
    return set(_imports(tree, path, lib)), hashlib.sha256(ast.dump(_bare(tree)).encode()).hexdigest()


def _imports(tree: ast.Module, path: Path, lib: Path) -> Iterator[Path]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            named = "." * node.level + (node.module or "")
            base = resolve_name(named, ".".join(path.relative_to(lib).parts[:-1])) if node.level else named
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]  # a name may be a module or not
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == PACKAGE:
                packages = (".".join(parts[:depth]) for depth in range(1, len(parts) + 1))
                yield from filter(None, (_file(package, lib) for package in packages))


def parse(path: Path) -> ast.Module:
    """The syntax tree of a Python file, or of all code cells of a notebook, without magics."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = [cell for cell in json.loads(source)["cells"] if cell["cell_type"] == "code"]
        lines = "\n".join("".join(cell["source"]) for cell in cells).splitlines()
        source = "\n".join("pass" if line.startswith(("%", "!")) else line for line in lines)
    return ast.parse(source, filename=str(path))


def _bare(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


def _file(module: str, lib: Path) -> Path | None:
    base = lib.joinpath(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def commit() -> str:
    """The commit of this checkout, "with uncommitted changes" where there are some; "none" outside git."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    try:
        changes = " with uncommitted changes" if git("status", "--porcelain") else ""
        return (git("rev-parse", "HEAD") or "none") + changes
    except OSError:
        return "none"
