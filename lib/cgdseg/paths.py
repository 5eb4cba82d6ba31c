"""Every path in one place.

ROOT holds what people write (notebooks, configs, lib); HOME holds what runs write (data, reports).
They are the same folder unless the environment variable CGDSEG_HOME says otherwise."""

import os
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("CGDSEG_HOME", ROOT)).resolve()

CONFIGS = ROOT / "configs"
NOTEBOOKS = ROOT / "notebooks"
CLAIMS = ROOT / "data" / "claims.yaml"
LIB = ROOT / "lib"
TEMPLATES = LIB / "cgdseg" / "report" / "templates"  # of cards and pages
RESULTS = ROOT / "benchmarks" / "results"  # measured once, committed, read by notebooks
RELEASE = LIB / "cgdseg" / "release"  # the model that ships with the repository


def run_dir(run_id: str) -> Path:
    """One training: its weights, history and run.json. Configs that share a recipe share the folder."""
    return HOME / "data" / "runs" / run_id


def rung_csv(recipe: str) -> Path:
    """Scores of one training that notebook 05 went on with; named by a hash of all they depend on."""
    return HOME / "data" / "ladder" / f"{recipe}.csv"


def encoder_dir(recipe: str) -> Path:
    """A text encoder of our own, shared by all configs that ask for the same one."""
    return HOME / "data" / "encoders" / recipe


def cache_dir(config: str) -> Path:
    """Tables and decoded pixels that notebook 01 writes for one config."""
    return HOME / "data" / "cache" / config


def pixels_dir(config: str, size: tuple[int, int]) -> Path:
    """Memory-mapped pixels at (H, W)."""
    return cache_dir(config) / f"pixels-{size[0]}x{size[1]}"


def run_card(config: str, run: str) -> Path:
    """What notebook 03 says of one trained run: small, deterministic, read by notebooks 04 and later."""
    return cache_dir(config) / "runs" / f"{run}.json"


def report_dir(config: str) -> Path:
    return HOME / "reports" / config


def _below(folder: Callable[[str], Path], name: str) -> Callable[[str], Path]:
    """A function from a config's name to what is called `name` in a folder of the config."""
    return lambda config: folder(config) / name


manifest_csv = _below(cache_dir, "manifest.csv")
findings_csv = _below(cache_dir, "findings.csv")
splits_csv = _below(cache_dir, "splits.csv")
scores_csv = _below(cache_dir, "scores.csv")
references_csv = _below(cache_dir, "references.csv")
tables_dir = _below(report_dir, "tables")
figures_dir = _below(report_dir, "figures")
cards_dir = _below(report_dir, "cards")  # of datasets and trained models, in Markdown
executed_dir = _below(report_dir, "notebooks")  # executed ones, and their receipts
html_dir = _below(report_dir, "html")


def short(path: Path) -> str:
    """A path as messages print it: relative to HOME or ROOT where it lies inside."""
    for base in (HOME, ROOT):
        if path.is_relative_to(base):
            return str(path.relative_to(base))
    return str(path)


def require(path: Path, maker: str) -> Path:
    """Return `path`, or raise FileNotFoundError that names the notebook which writes it."""
    if not path.exists():
        raise FileNotFoundError(f"{short(path)} is missing: run notebooks/{maker}.ipynb first")
    return path
