"""Notebooks and a config of a few lines, for tests of everything around notebooks."""

import compileall
import os
import re
import shutil
import subprocess
import sys
from py_compile import PycInvalidationMode

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from cgdseg.paths import LIB, ROOT

CONFIG = """
datasets:
  eyes: {layout: syncroi, root: data/raw/eyes, domain: synthetic, stand_in: {look: syncroi, n_images: 4}}
conditions: {synthetic: [eyes]}
systems:
  unet: {kind: unet, input_size: [32, 48], channels: [4]}
seeds: [1, 2]
"""
TITLE = """# {name}

**Question.** What is <six> times seven?

**Reads** nothing. **Writes** a table. **Time** a second."""
RUN = "run = cfg.run(SYSTEM, CONDITION, SEED)"
SETUP = """from cgdseg import paths
from cgdseg.config import load_config
from cgdseg.report.outputs import Outputs

cfg = load_config(CONFIG)
run = None"""
END = "assert out.outputs\nout.finish()"
AUDIT, MODEL, EVALUATION = "01_data_audit", "02_model", "04_evaluation"
GAP, COMPARISON = "05_domain_gap", "06_comparison"
TRAININGS = ["03_training.unet-synthetic-1", "03_training.unet-synthetic-2"]


def write_notebook(path, *sources, parameters=None, end=END):
    """A notebook in the house style around some code cells."""
    literals = {"CONFIG": "toy"} | (parameters or {})
    setup = SETUP.replace("run = None", RUN) if "SYSTEM" in literals else SETUP
    setup += f'\nout = Outputs(cfg, "{path.stem}", run)'
    tagged = new_code_cell("\n".join(f"{name} = {value!r}" for name, value in literals.items()))
    tagged.metadata["tags"] = ["parameters"]
    cells = [new_markdown_cell(TITLE.format(name=path.stem)), tagged, new_code_cell(setup)]
    cells += [new_code_cell(source) for source in sources]
    cells += [new_code_cell(end)] if end else []
    notebook = new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def table(name="numbers", value="42"):
    return f'import pandas as pd\n\nout.table(pd.DataFrame({{"answer": [{value}]}}), "{name}", "The answer")'


def save(path):
    """Source lines that write one small file of the pipeline and register it."""
    return f'path = {path}\npath.parent.mkdir(parents=True, exist_ok=True)\npath.write_text("1\\n")\nout.file(path)'


def write_tree(root):
    """A whole project in `root`: the real runner and Snakefile, a toy library module, config and six toy notebooks."""
    package = root / "lib" / "cgdseg"
    shutil.copytree(LIB, root / "lib", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    copy(ROOT / "Snakefile", root / "Snakefile")
    (package / "toy.py").write_text('"""Used by 03 alone."""\n\nRATE = 1\n')
    # by content: an edit of the same second and size would not be seen, and without any every process compiles anew
    compileall.compile_dir(package, quiet=1, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
    (root / "configs").mkdir()
    (root / "configs/toy.yaml").write_text(f"# A toy of <four> eyes.\n{CONFIG}")
    notebooks = root / "notebooks"
    two = [save("paths.manifest_csv(cfg.name)"), save("paths.splits_csv(cfg.name)")]
    write_notebook(notebooks / "01_data_audit.ipynb", *two)
    write_notebook(notebooks / "02_model.ipynb", table("parts"))
    run = {"SYSTEM": "unet", "CONDITION": "synthetic", "SEED": 1}
    card = "from cgdseg import toy\n\n" + save("paths.run_card(cfg.name, run.name)")
    write_notebook(notebooks / "03_training.ipynb", card, parameters=run)
    write_notebook(notebooks / "04_evaluation.ipynb", save("paths.scores_csv(cfg.name)"), table("headline"))
    write_notebook(notebooks / "05_domain_gap.ipynb", table("gap"))
    write_notebook(notebooks / "06_comparison.ipynb", table("ledger"))


def copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


class Tree:
    """A toy project on disk."""

    def __init__(self, root):
        self.root = root
        write_tree(root)
        folders = os.pathsep.join([str(root / "lib"), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.environment = {**os.environ, "PYTHONPATH": folders, "PYTHONDONTWRITEBYTECODE": "1"}
        self.environment.pop("CGDSEG_HOME", None)
        self.command = [sys.executable, "-m", "cgdseg.cli", "reports", "toy", "--cores", "2"]

    def reports(self, expected_code=0):
        """Run everything; return the jobs that were executed."""
        done = subprocess.run(self.command, cwd=self.root, env=self.environment, capture_output=True, text=True)
        self.said = done.stdout + done.stderr
        assert done.returncode == expected_code, self.said
        return sorted(re.findall(r"^\S+  run   (\S+)", done.stdout, flags=re.M))

    def edit(self, name, old, new):
        path = self.root / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def page(self, name):
        return (self.root / "reports/toy" / name).read_text()
