"""`python -m cgdseg.cli`: the command line without an installed script, as Snakemake and torchrun call it."""

from cgdseg.cli.shared import app

app()
