"""The command line, thin: every command checks its words, calls one function and turns errors into one line.

Heavy imports wait inside the commands, so that `cgdseg --help` is quick. A file holds one group of commands."""

from cgdseg.cli import pipeline, models, folders, submission  # noqa: F401, I001  in the order of --help
from cgdseg.cli.shared import app, one_line_errors

__all__ = ["app", "one_line_errors"]
