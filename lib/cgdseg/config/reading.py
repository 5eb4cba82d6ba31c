"""Configs from disk: load_config("demo") -> Config. YAML without surprises; errors name the file and the mend."""

import difflib
from pathlib import Path

import yaml
from pydantic import ValidationError

from cgdseg.config.schema import Config
from cgdseg.paths import CONFIGS
from cgdseg.text import did_you_mean


def load_config(name: str | Path) -> Config:
    """Load configs/<name>.yaml, or a YAML file anywhere.

    A file may start with `extends: <name or path>` and then give only what differs.
    Raises FileNotFoundError or ValueError; both name the file and the mend."""
    path = config_path(name)
    known = CONFIGS / f"{path.stem}.yaml"
    if known.exists() and not path.samefile(known):
        raise ValueError(f"{path} has the name of {known}, and its results would overwrite that one's: rename it")
    try:
        return Config(**{**_read(path), "name": path.stem})
    except ValidationError as error:
        problems = "\n".join(f"  {'.'.join(map(str, e['loc'])) or 'config'}: {_words(e)}" for e in error.errors())
        raise ValueError(f"{path} is not a valid config:\n{problems}") from None


def _words(error: dict) -> str:
    """What pydantic found, and the name that was probably meant."""
    if error["type"] != "union_tag_invalid":
        return error["msg"]
    known = [kind.strip("'") for kind in error["ctx"]["expected_tags"].split(", ")]
    return f"there is no kind {error['ctx']['tag']}{did_you_mean(error['ctx']['tag'], known)}"


def config_path(name: str | Path) -> Path:
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        path = CONFIGS / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(names := sorted(p.stem for p in CONFIGS.glob("*.yaml")))
        close = difflib.get_close_matches(path.stem, names, n=1)
        meant = f" (did you mean {close[0]}?)" if close else ""
        raise FileNotFoundError(f"there is no config {path}{meant}; give a path or one of: {known}")
    return path


class _Loader(yaml.SafeLoader):
    """YAML without objects, aliases or keys given twice: the second would silently win."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"an alias (*{self.peek_event().anchor}): write the value out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if unfit := [key for key in keys if not isinstance(key, str) or keys.count(key) > 1]:
            line = node.start_mark.line + 1
            raise yaml.YAMLError(f"the key {unfit[0]!r} is given twice, or is no text (line {line})")
        return super().construct_mapping(node, deep)


def _read(path: Path, below: tuple[Path, ...] = ()) -> dict:
    """Settings of a file over those of the files that it extends."""
    if path.resolve() in below:
        raise ValueError(f"{path} extends itself through {below[-1]}")
    try:
        settings = yaml.load(path.read_text(encoding="utf-8"), _Loader) or {}
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        hint = "; words with a backslash belong in single quotes" if "escape character" in str(error) else ""
        raise ValueError(f"{path} is not YAML: {error}{hint}") from None
    if not isinstance(settings, dict):
        raise ValueError(f"{path} must hold `key: value` lines")
    base = settings.pop("extends", None)
    if base is None:
        return settings
    if not isinstance(base, str) or not base.isprintable() or len(base) > 200:
        raise ValueError(f"{path}: extends must be a name in configs/ or the path of a YAML file")
    named = (path.parent / base, CONFIGS / f"{base}.yaml", path.parent / f"{base}.yaml", path.parent / f"{base}.yml")
    found = next((file for file in named if file.is_file()), None)
    return _merge(_read(found or config_path(base), (*below, path.resolve())), settings)


def _merge(base: dict, changes: dict) -> dict:
    """Changes win, key by key; `key: null` removes the key."""
    merged = dict(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            value = _merge(base[key], value)
        merged[key] = value
    return {key: value for key, value in merged.items() if value is not None}
