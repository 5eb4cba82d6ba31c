"""The notebooks as a graph: snakemake --config name=demo --cores 2, or `cgdseg reports demo`.

The edges are receipts: small JSON files that the runner writes when a notebook has really come to its end, with the
SHA-256 of everything it wrote. Data and checkpoints are no outputs here, because Snakemake deletes the outputs of a job
before it starts, and an interrupted training could never resume. `recipe` hashes the notebook's text, the library code
it imports, its parameters and the settings it depends on: a job runs again when one of them changes."""

import os
import sys

from cgdseg import paths
from cgdseg.config.reading import load_config
from cgdseg.hashes import code_digest, digest
from cgdseg.report import jobs, pages

NAME = str(config.get("name", "demo"))
cfg = load_config(NAME)
RUNS = {run.name: run for run in cfg.runs()}
EXECUTED = os.path.relpath(paths.executed_dir(cfg.name), paths.HOME)
PAGES = os.path.relpath(paths.html_dir(cfg.name), paths.HOME)
INDEX = os.path.relpath(paths.report_dir(cfg.name) / "index.html", paths.HOME)
PYTHON = sys.executable
CGDSEG = "{PYTHON:q} -m cgdseg.cli"  # :q quotes for the shell, whatever a folder is called
RUN = CGDSEG + " run --config {NAME:q} --minutes {resources.runtime} "

AUDIT, MODEL, EVALUATION = "01_data_audit", "02_model", "04_evaluation"
GAP, COMPARISON = "05_domain_gap", "06_comparison"
TRAININGS = [f"03_training.{name}" for name in RUNS]
STEMS = [AUDIT, MODEL, *TRAININGS, EVALUATION, GAP, COMPARISON]


# A text encoder of our own is no output either: its folder is named by a hash, and configs share it.
ENCODER = f"{EXECUTED}/text_encoder.done"
ENCODER_RECIPE = digest([cfg.text_encoders(), code_digest(["cgdseg.training.small_clip"])])


def encoder(run=None):
    return [ENCODER] if cfg.text_encoders(run) else []


def receipt(stem):
    return f"{EXECUTED}/{stem}.json"


def recipe(notebook, run=None):
    return jobs.make_job(notebook, NAME, jobs.run_parameters(run) if run else None).recipe()


def options(run):
    return " ".join(f"-p {name}='{value}'" for name, value in jobs.run_parameters(run).items())


wildcard_constraints:
    run="|".join(RUNS),
    stem="|".join(STEMS),


rule reports:
    input:
        INDEX,
        [receipt(stem) for stem in STEMS],  # named, so that a missing one is made again though later ones exist
        [f"{PAGES}/{stem}.html" for stem in STEMS],


rule index:
    input:
        [f"{PAGES}/{stem}.html" for stem in STEMS],
    output:
        INDEX,
    params:
        look=pages.look(),
        settings=digest(cfg),
    shell:
        CGDSEG + " index --config {NAME:q}"


rule page:
    input:
        EXECUTED + "/{stem}.json",
    output:
        PAGES + "/{stem}.html",
    params:
        look=pages.look(),
    shell:
        CGDSEG + " html --config {NAME:q} '{wildcards.stem}'"


rule audit:
    output:
        receipt(AUDIT),
    params:
        recipe=recipe(AUDIT),
    resources:
        runtime=720,
    shell:
        RUN + AUDIT


rule text_encoder:
    output:
        touch(ENCODER),
    params:
        recipe=ENCODER_RECIPE,
    priority: 2  # trainings wait for it
    resources:
        runtime=60,
    shell:
        "TQDM_DISABLE=1 " + CGDSEG + " text-encoder --config {NAME:q}"


rule model:
    input:
        receipt(AUDIT),
        encoder(),
    output:
        receipt(MODEL),
    params:
        recipe=recipe(MODEL),
    resources:
        runtime=60,
    shell:
        RUN + MODEL


rule training:
    input:
        receipt(AUDIT),
        lambda wildcards: encoder(RUNS[wildcards.run]),
    output:
        EXECUTED + "/03_training.{run}.json",
    params:
        recipe=lambda wildcards: recipe("03_training", RUNS[wildcards.run]),
        words=lambda wildcards: options(RUNS[wildcards.run]),
    threads: cfg.training.n_threads
    priority: 1  # trainings take longest, so they start first
    resources:
        runtime=2880,
        gpu=int(config.get("gpu", 0)),
    shell:
        RUN + "03_training {params.words}"


rule evaluation:
    input:
        receipt(AUDIT),
        [receipt(stem) for stem in TRAININGS],
    output:
        receipt(EVALUATION),
    params:
        recipe=recipe(EVALUATION),
    resources:
        runtime=720,
        gpu=int(config.get("gpu", 0)),
    shell:
        RUN + EVALUATION


rule domain_gap:
    input:
        receipt(AUDIT),
        [receipt(stem) for stem in TRAININGS],
        receipt(EVALUATION),
    output:
        receipt(GAP),
    params:
        recipe=recipe(GAP),
    resources:
        runtime=720,  # it trains on, with real people
        gpu=int(config.get("gpu", 0)),
    shell:
        RUN + GAP


rule comparison:
    input:
        receipt(AUDIT),
        receipt(EVALUATION),
    output:
        receipt(COMPARISON),
    params:
        recipe=recipe(COMPARISON),
    resources:
        runtime=240,
    shell:
        RUN + COMPARISON
