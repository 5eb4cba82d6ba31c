"""The notebooks as a graph: snakemake --config name=demo --cores 2, or `cgdseg reports demo`.

The edges are receipts: small JSON files that the runner writes when a notebook has really come to its end, with the
SHA-256 of everything it wrote. Data and checkpoints are no outputs here, because Snakemake deletes the outputs of a job
before it starts, and an interrupted training could never resume. `recipe` hashes the notebook's text, the library code
it depends on, its parameters and its settings: a job runs again when one of them changes. What there is to run, and
after what, stands in cgdseg.report.notebooks."""

import os
import re
import sys

from cgdseg import paths
from cgdseg.config.reading import load_config
from cgdseg.hashes import code_digest, digest
from cgdseg.report import jobs, pages

NAME = str(config.get("name", "demo"))
cfg = load_config(NAME)
JOBS = jobs.every_job(NAME)
EXECUTED = os.path.relpath(paths.executed_dir(cfg.name), paths.HOME)
PAGES = os.path.relpath(paths.html_dir(cfg.name), paths.HOME)
INDEX = os.path.relpath(paths.report_dir(cfg.name) / "index.html", paths.HOME)
PYTHON = sys.executable
CGDSEG = "{PYTHON:q} -m cgdseg.cli"  # :q quotes for the shell, whatever a folder is called
RUN = CGDSEG + " run --config {NAME:q} --minutes {resources.runtime} {params.words}"

# A text encoder of our own is no output either: its folder is named by a hash, and configs share it.
ENCODER = f"{EXECUTED}/text_encoder.done"
ENCODERS = cfg.text_encoders()


def receipt(job):
    return f"{EXECUTED}/{job.stem}.json"


ALONE = [job.stem for job in JOBS if not job.run]
TRAININGS = [job for job in JOBS if job.run]


wildcard_constraints:
    stem="|".join(map(re.escape, ALONE)),


rule reports:
    input:
        INDEX,
        [receipt(job) for job in JOBS],  # named, so that a missing one is made again though later ones exist
        [f"{PAGES}/{job.stem}.html" for job in JOBS],


rule index:
    input:
        [f"{PAGES}/{job.stem}.html" for job in JOBS],
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


if TRAININGS:

    rule training_pages:  # in one process, which starts more slowly than it writes them all
        input:
            [receipt(job) for job in TRAININGS],
        output:
            [f"{PAGES}/{job.stem}.html" for job in TRAININGS],
        params:
            look=pages.look(),
            stems=[job.stem for job in TRAININGS],
        shell:
            CGDSEG + " html --config {NAME:q} {params.stems:q}"


rule text_encoder:
    output:
        touch(ENCODER),
    params:
        recipe=digest([ENCODERS, code_digest(sorted({settings.made_by for settings in ENCODERS}))]),
    priority: 2  # trainings wait for it
    resources:
        runtime=60,
    shell:
        "TQDM_DISABLE=1 " + CGDSEG + " text-encoder --config {NAME:q}"


for number, job in enumerate(JOBS):

    rule:
        name:
            re.sub(r"\W", "_", f"{job.stem}_{number}")  # a number: a-b_c and a_b-c are two jobs
        input:
            [receipt(other) for other in JOBS if other.notebook.stem in job.entry.after],
            [ENCODER] if job.entry.encoders and cfg.text_encoders(job.run) else [],
        output:
            receipt(job),
        params:
            recipe=job.recipe(),
            words=job.words(),
        threads: cfg.training.n_threads if job.run else 1
        priority: job.entry.priority
        resources:
            runtime=job.entry.minutes,
            gpu=int(config.get("gpu", 0)) if job.entry.gpu else 0,
        shell:
            RUN
