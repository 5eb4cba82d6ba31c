"""One run of a notebook: what it depends on, and whether what it left still stands.

make_job("03_training", "demo", {"SYSTEM": "cgdseg", ...}) -> Job, checked as far as possible before a kernel starts.
Its receipt (reports/<config>/notebooks/<stem>.json) names the recipe, what was read and the SHA-256 of its outputs."""

import ast
import hashlib
import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cgdseg import paths
from cgdseg.config import Config, Run, config_path, load_config
from cgdseg.hashes import depends_on, digest, sha256
from cgdseg.report.notebooks import SERIES, Notebook
from cgdseg.report.outputs import located, portable
from cgdseg.text import did_you_mean

RUN_PARAMETERS = ("SYSTEM", "CONDITION", "SEED")  # a notebook that has all three is about one training
Values = dict[str, str | int | float | bool]


@dataclass(frozen=True)
class Job:
    """One notebook, one config, one set of parameters; and where everything about it lies."""

    notebook: Path
    config: str  # as given: a name or a path
    cfg: Config
    values: Values = field(default_factory=dict)

    @cached_property
    def run(self) -> Run | None:
        """The training this job is about, if its parameters name one."""
        if not set(RUN_PARAMETERS) <= set(self.values):
            return None
        return self.cfg.run(*(self.values[name] for name in RUN_PARAMETERS))

    @property
    def entry(self) -> Notebook:
        """What the series says of the notebook; of one that it does not name, nothing is known."""
        return SERIES.get(self.notebook.stem, Notebook())

    @property
    def stem(self) -> str:
        return f"{self.notebook.stem}.{self.run.name}" if self.run else self.notebook.stem

    def file(self, ending: str) -> Path:
        return paths.executed_dir(self.cfg.name) / f"{self.stem}{ending}"

    receipt = property(lambda job: job.file(".json"))
    executed = property(lambda job: job.file(".ipynb"))
    failed = property(lambda job: job.file(".failed.ipynb"))

    def words(self) -> str:
        """The notebook and its parameters as `cgdseg run` wants them."""
        named = run_parameters(self.run) if self.run else {}
        return " ".join([self.notebook.stem, *(f"-p {name}='{value}'" for name, value in named.items())])

    def recipe(self) -> dict[str, str]:
        """Everything that shapes the result, apart from the data it reads."""
        modules = sorted({module for system in self.entry.systems(self.cfg, self.run) for module in system.modules()})
        return {
            "notebook": text_digest(self.notebook),
            "code": digest([sha256(path) for path in depends_on([self.notebook, *modules])]),
            "settings": digest(self.entry.settings(self.cfg, self.run)),
            "parameters": digest(self.values),
        }

    def reads(self) -> dict[str, str] | None:
        if self.entry.reads is None:
            return None
        return {portable(path): sha256(path) if path.is_file() else "missing" for path in self.entry.reads(self.cfg)}

    def why(self) -> str | None:
        """The reason to run, in words; None where the executed notebook still stands."""
        try:
            old = json.loads(self.executed.read_text())["metadata"]["cgdseg"]["receipt"]
        except (OSError, ValueError, KeyError):
            return "first run"
        reads = self.reads()
        if reads is None:
            return "what it reads is not declared"
        if reads != old["reads"]:
            return "data it reads changed"
        return changed(old, self.recipe()) or spoiled(old["outputs"])


def make_job(notebook: str | Path, config: str | Path = "demo", parameters: dict | None = None) -> Job:
    """Check everything that can be checked before a kernel starts. Raises ValueError or FileNotFoundError."""
    path = find_notebook(notebook)
    config = str(config_path(config).resolve()) if Path(config).suffix else str(config)
    job = Job(path, config, load_config(config), check_parameters(path, {"CONFIG": config, **(parameters or {})}))
    defaults = declared(path)
    for name in parameters or {}:
        if job.values[name] != defaults[name]:  # a default such as "" may stand for a choice
            _check_range(name, job.values[name], job.cfg)
    job.run  # noqa: B018  an unknown run raises here
    check_stand_ins(job.cfg)
    return job


def _check_range(name: str, value: Any, cfg: Config) -> None:
    """Refuse what a config does not hold and what no notebook could count, draw from or reach."""
    known = {"SYSTEM": cfg.systems, "CONDITION": cfg.conditions}.get(name)
    if known is not None and value not in known:
        raise ValueError(f"config {cfg.name} has no {name.lower()} {value}{did_you_mean(str(value), known)}")
    if isinstance(value, int | float) and not (math.isfinite(value) and value >= 0):
        raise ValueError(f"parameter {name} is {value}: give a number from 0")
    manifest = paths.manifest_csv(cfg.name)
    if name == "EYE" and manifest.is_file():
        import pandas as pd

        if value >= (n_eyes := len(pd.read_csv(manifest, lineterminator="\n"))):
            there = f"{paths.short(manifest)} has {n_eyes} rows: give 0 to {n_eyes - 1}"
            raise ValueError(f"parameter EYE is {value}, but {there}")


def check_stand_ins(cfg: Config) -> None:
    """Refuse an unknown look, layout or factor of a stand-in before the kernel that would render it. ValueError."""
    for name, dataset in cfg.datasets.items():
        if dataset.stand_in:
            from cgdseg.data import standins

            try:
                standins.stand_in_factors(dataset.stand_in)
                standins.plan(dataset.layout, dataset.stand_in.model_copy(update={"n_images": 1}))
            except ValueError as error:
                raise ValueError(f"config {cfg.name}, dataset {name}: {error}") from None


def find_notebook(notebook: str | Path) -> Path:
    path = Path(notebook) if str(notebook).endswith(".ipynb") else paths.NOTEBOOKS / f"{notebook}.ipynb"
    if not path.is_file():
        known = [other.stem for other in sorted(paths.NOTEBOOKS.glob("*.ipynb"))]
        raise FileNotFoundError(f"there is no notebook {paths.short(path)}{did_you_mean(path.stem, known)}")
    return path.resolve()


def declared(path: Path) -> Values:
    """The literals of the notebook's `parameters` cell."""
    tagged = [cell for cell in cells(path) if "parameters" in cell["metadata"].get("tags", [])]
    if len(tagged) != 1:
        raise ValueError(f"{paths.short(path)} has {len(tagged)} cells tagged `parameters`; it needs exactly one")
    try:
        lines = ast.parse("".join(tagged[0]["source"])).body
        return {line.targets[0].id: ast.literal_eval(line.value) for line in lines}
    except (SyntaxError, ValueError, AttributeError):
        raise ValueError(f"the parameters of {paths.short(path)} must be lines like NAME = literal") from None


def check_parameters(path: Path, given: dict) -> Values:
    """All parameters of a notebook, given values over its own; text is read as the type of the default."""
    defaults = declared(path)
    for name in given:
        if name not in defaults:
            raise ValueError(f"{path.name} has no parameter {name}{did_you_mean(name, list(defaults))}")
    return defaults | {name: _as_type(name, value, type(defaults[name])) for name, value in given.items()}


def _as_type(name: str, value: Any, kind: type) -> Any:
    if type(value) is kind:
        return value
    try:
        if kind is bool and isinstance(value, str):
            return {"true": True, "false": False}[value.lower()]
        if kind in (int, float) and not isinstance(value, bool) and (kind is float or isinstance(value, str)):
            return kind(value)
    except (ValueError, KeyError):
        pass
    raise ValueError(f"parameter {name} must be {kind.__name__}, not {value!r}")


def every_job(config: str | Path) -> list[Job]:
    """Every notebook in order; those whose parameters name a training, once for each run of the config."""
    jobs = []
    for name in SERIES:
        if not (path := paths.NOTEBOOKS / f"{name}.ipynb").is_file():
            continue
        runs = load_config(config).runs() if set(RUN_PARAMETERS) <= set(declared(path)) else [None]
        jobs += [make_job(path, config, run_parameters(run) if run else None) for run in runs]
    return jobs


def run_parameters(run: Run) -> Values:
    return dict(zip(RUN_PARAMETERS, (run.system, run.condition, run.seed), strict=True))


def sweep(cfg: Config) -> dict[str, str]:
    """Delete every receipt that no longer tells the truth, so that Snakemake runs its job again: {stem: reason}.

    Snakemake itself does not notice that an output was edited or deleted."""
    reasons = {}
    for path in sorted(paths.executed_dir(cfg.name).glob("*.json")):
        if not path.name.endswith(".done.json") and (reason := _untrue(path, cfg)):
            path.unlink()
            reasons[path.stem] = reason
    return reasons


def _untrue(path: Path, cfg: Config) -> str | None:
    try:
        receipt = json.loads(path.read_text())
        notebook = find_notebook(receipt["notebook"])
        job = Job(notebook, cfg.name, cfg, receipt["parameters"])
        if not job.executed.is_file():
            return "the executed notebook is gone"
        return changed(receipt, job.recipe()) or spoiled(receipt["outputs"]) or _edited(receipt["reads"], cfg)
    except (OSError, ValueError, KeyError) as error:
        return f"the receipt does not hold: {error}"


def _edited(reads: dict[str, str] | None, cfg: Config) -> str | None:
    """The first file a notebook read that changed without another notebook: Snakemake does not watch those."""
    made = paths.cache_dir(cfg.name)
    for name, digest_then in (reads or {}).items():
        path = located(name)
        if path.is_file() and not path.is_relative_to(made) and sha256(path) != digest_then:
            return f"{path.name} is not what it read"
    return None


def changed(receipt: dict, recipe: dict[str, str]) -> str | None:
    """What differs between the recipe of a receipt and one of now, in words."""
    words = {
        "notebook": "the notebook changed",
        "code": "library code it imports changed",
        "settings": "config settings it depends on changed",
        "parameters": "its parameters changed",
    }
    return ", ".join(words[key] for key in words if receipt["recipe"].get(key) != recipe[key]) or None


def spoiled(outputs: dict[str, str]) -> str | None:
    """The first output that is not what the notebook wrote."""
    for name, digest_then in outputs.items():
        path = located(name)
        if not path.is_file():
            return f"{name} is gone"
        if sha256(path) != digest_then:
            return f"{name} was changed by hand"
    return None


def text_digest(notebook: Path) -> str:
    """SHA-256 of what a person wrote: saving with outputs in JupyterLab changes nothing."""
    text = [[cell["cell_type"], "".join(cell["source"]), cell["metadata"].get("tags", [])] for cell in cells(notebook)]
    return hashlib.sha256(json.dumps(text).encode()).hexdigest()


def cells(notebook: Path) -> list[dict]:
    """The cells of a notebook file; ValueError if it is none."""
    try:
        return json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{paths.short(notebook)} is not a notebook") from None
