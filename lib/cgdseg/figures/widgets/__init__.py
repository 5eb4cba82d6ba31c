"""Things to try while a notebook is open in JupyterLab, a module each; a page that nobody can click shows figures.

failures.browse, thresholds.slide, stages.walk, prompts.pick: a widget, or None where the notebook runs by itself.
Nothing is imported here, so that notebook 2 does not depend on what only notebook 4 shows."""
