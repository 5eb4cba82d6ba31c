"""What all groups of commands share: the app that they register with, errors in one line, options given alike."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from cgdseg.config import RGB
from cgdseg.labels import LABELS
from cgdseg.text import visible

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Text-grounded sclera segmentation: run the notebooks, predict, score, submit, audit.",
)
ConfigOption = Annotated[str, typer.Option("--config", help="a name in configs/, or a YAML file")]
Colours = Annotated[
    list[str], typer.Option("--colour", help="PART=R,G,B of coloured masks, such as sclera=0,255,0; may be repeated")
]
Json = Annotated[Path | None, typer.Option("--json", help="also write the result to this file")]


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Print what is wrong and how to mend it, without a traceback, and exit 1."""
    try:
        yield
    except (ValueError, OSError, RuntimeError, FloatingPointError) as error:
        typer.secho(f"error: {error}", err=True, fg="red")
        raise typer.Exit(1) from None


def save_json(path: Path | None, result: object) -> None:
    """Write what --json asks for."""
    from cgdseg.files import write_atomic
    from cgdseg.report.outputs import to_json

    if path:
        write_atomic(path, to_json(result))


def sclera_colour(words: list[str]) -> RGB | None:
    """The sclera's colour among the words of --colour, if it is there."""
    return (colour_table(words) or {}).get("sclera")


def colour_table(words: list[str]) -> dict[str, RGB] | None:
    """The words of --colour as a table; None when there are none. Raises ValueError."""
    table = {}
    for word in words:
        part, _, numbers = word.partition("=")
        rgb = numbers.split(",")
        if part not in LABELS or len(rgb) != 3 or not all(n.strip().isdigit() and int(n) < 256 for n in rgb):
            raise ValueError(f"--colour {word}: give PART=R,G,B such as sclera=0,255,0; parts: {', '.join(LABELS)}")
        table[part] = tuple(int(n) for n in rgb)
    return table or None


def name_problems(problems: Iterable[str]) -> None:
    """Print what is wrong with single files, on stderr."""
    for problem in problems:
        typer.secho(visible(problem), err=True, fg="yellow")
