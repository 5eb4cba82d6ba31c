"""One meaning, one name: what the library calls something is said in one place, and what a docstring names is there."""

import ast
import importlib.util
import re
from collections import defaultdict
from pathlib import Path

import pytest

from cgdseg.paths import LIB, NOTEBOOKS

HOUSE = LIB / "cgdseg"
FILES = {".".join(path.relative_to(HOUSE).with_suffix("").parts): path for path in sorted(HOUSE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
OF_A_SYSTEM = {"build", "parts", "offline", "without_weights", "beside"}  # `registry` asks for these
SHOW = ("figures.", "cli.")  # a figure or a command may have the name of what it draws or calls
SETTINGS = "config.systems"  # its classes have the names of the networks' own
LISTED = re.compile(r"`([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)(?:\(.*?\))?`")


def stored(node: ast.AST) -> list[str]:
    """The names that a statement of a module gives."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]


def homes() -> dict[str, dict[str, ast.AST]]:
    """Every public name: the modules that give it, each with the statement that does."""
    found = defaultdict(dict)
    for module, tree in TREES.items():
        for node in tree.body:
            for name in stored(node):
                if not name.startswith("_"):
                    found[name][module] = node
    return found


def shows(module: str, node: ast.AST, name: str, others: list[str]) -> bool:
    """Whether a figure's or a command's own words or code name what it has its name from."""
    said = ast.unparse(node)
    return module.startswith(SHOW) and any(f"{other.split('.')[-1]}.{name}" in said for other in others)


def is_a_network(modules: dict) -> bool:
    return SETTINGS in modules and all(m == SETTINGS or m.startswith("models.") for m in modules) and len(modules) == 2


TWICE = {name: modules for name, modules in homes().items() if len(modules) > 1}


@pytest.mark.parametrize("name", sorted(set(TWICE) - OF_A_SYSTEM))
def test_a_name_is_given_once(name):
    modules = TWICE[name]
    left = [m for m in modules if not shows(m, modules[m], name, [other for other in modules if other != m])]
    assert len(left) < 2 or is_a_network(modules), (
        f"{' and '.join(left)} each call something {name}: give one of them a name that says what it means"
    )


@pytest.mark.parametrize("name", sorted(set(TWICE) & OF_A_SYSTEM))
def test_only_systems_answer_alike(name):
    assert all(module.startswith("models.") for module in TWICE[name])


def known(tree: ast.AST) -> set[str]:
    """Whatever a module, or a class of it, has: functions, fields, constants, what it sets on itself."""
    mine = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    return mine.union(*(stored(node) for node in ast.walk(tree)))


def documented() -> dict[str, set[str]]:
    """What may stand before a dot in backticks, and after it: modules, classes, and what a local name stands for."""
    found = defaultdict(set)
    for module, tree in TREES.items():
        *room, own = module.removesuffix(".__init__").split(".")
        found[own] |= known(tree)
        found[room[-1] if room else "cgdseg"].add(own)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found[node.name] |= known(node)
    return found


DOCUMENTED = documented()
OWN = {
    "cfg",
    "gap",
    "run",
    "settings",
    "training",
    "splits",
}  # an object of the config, not a module, stands before the dot


def ticks(text: str) -> list[str]:
    return [dotted for dotted in LISTED.findall(text) if not dotted.endswith((".py", ".csv", ".json", ".yaml", ".png"))]


def missing(dotted: str) -> bool:
    *_, home, name = dotted.split(".")
    if name in DOCUMENTED.get(home, ()):
        return False
    if importlib.util.find_spec(home) and hasattr(importlib.import_module(home), name):
        return False  # a library's
    fields = set().union(*(DOCUMENTED[c] for c in ("Config", "Gap", "Training", "Splits", "Run", "CGDSeg", "Backbone")))
    return not (home in OWN and name in fields)


@pytest.mark.parametrize("module", sorted(FILES))
def test_what_is_named_in_backticks_is_there(module):
    gone = [dotted for dotted in ticks(FILES[module].read_text(encoding="utf-8")) if missing(dotted)]
    assert not gone, f"{module} names {', '.join(gone)}, which is not there (any more)"


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_name_what_is_there(path: Path):
    gone = [dotted for dotted in ticks(path.read_text(encoding="utf-8")) if missing(dotted)]
    assert not gone, f"{path.name} names {', '.join(gone)}, which is not there (any more)"


def test_a_second_home_and_a_lost_name_are_seen():
    figure = ast.parse('def people(table):\n    """`tables.people`."""').body[0]
    assert shows("figures.factors", figure, "people", ["studies.scores.tables"])
    assert not shows("studies.factors", figure, "people", ["studies.scores.tables"])
    assert not shows("figures.factors", figure, "people", ["studies.audit"])
    assert not is_a_network({"config.systems": 0, "models.zoo.unet": 0, "models.layers": 0})
    assert missing("score_tables.people") and not missing("intervals.estimate") and not missing("gap.steps")
    assert missing("html.escaped") and not missing("html.escape")
    assert ticks("`intervals.estimate` and `a b.c` in `data/x.csv`, `x.csv`") == ["intervals.estimate"]
