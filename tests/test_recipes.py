"""CONTRIBUTING.md keeps its word: its configs are valid, and what its recipes name is there."""

import re

import pytest
import yaml

from cgdseg import paths
from cgdseg.config import load_config
from cgdseg.hashes import closure

TEXT = (paths.ROOT / "CONTRIBUTING.md").read_text()
BLOCKS = re.findall(r"```yaml\n# (\S+)\n(.*?)```", TEXT, flags=re.S)
RECIPES = re.search(r"## Five recipes\n(.*?)\n## ", TEXT, flags=re.S)[1]


@pytest.mark.parametrize("name, text", BLOCKS, ids=[name for name, _ in BLOCKS])
def test_a_config_of_a_recipe_is_valid(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    cfg = load_config(tmp_path / name)
    assert cfg.name == name.removesuffix(".yaml") and cfg.runs()


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "data/README.md"])
def test_settings_within_sentences_are_yaml(name):
    fragments = re.findall(r"`(\w+: [^`]+)`", (paths.ROOT / name).read_text())
    assert any(fragment.startswith("person:") for fragment in fragments)
    assert all(isinstance(yaml.safe_load(fragment), dict) for fragment in fragments)


def test_the_recipe_for_datasets_scores_photographs_with_every_run(tmp_path):
    name, text = next(block for block in BLOCKS if "Mine" in block[1])
    (tmp_path / name).write_text(text)
    cfg = load_config(tmp_path / name)
    assert cfg.datasets["Mine"].test_only and cfg.label("Mine") == "Mine"  # no stand-in


def test_recipes_are_short_and_name_what_is_there():
    for recipe in re.split(r"\n(?=\*\*A )", RECIPES.strip()):
        lines = [line for line in recipe.splitlines() if line.strip() and not line.startswith("```")]
        assert len(lines) <= 10, lines[0]
    named = set(re.findall(r"`((?:lib|tests|notebooks)/[\w/.]+)`", RECIPES))
    assert named and not [word for word in named if not (paths.ROOT / word).exists()]


def test_the_method_is_read_in_an_hour():
    """The README's seven files: at most 1,000 lines, and nothing below them knows of notebooks and what they show."""
    section = (paths.ROOT / "README.md").read_text().split("## Read the library in an hour")[1]
    files = [paths.ROOT / name for name in re.findall(r"\]\((lib/cgdseg/[\w/]+\.py)\)", section)]
    assert len(files) == 7 and sum(len(path.read_text().splitlines()) for path in files) <= 1000
    known = {path.relative_to(paths.LIB / "cgdseg").parts[0] for file in files for path in closure(module(file))}
    assert not known & {"report", "studies", "figures", "folders", "cli"}


def module(path) -> str:
    return ".".join(path.relative_to(paths.LIB).with_suffix("").parts)
