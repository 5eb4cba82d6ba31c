"""Every command says how it is called, and what is not a command is refused with the nearest."""

import pytest
import typer
from typer.testing import CliRunner

from cgdseg.cli import app

COMMANDS = sorted(typer.main.get_command(app).commands)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_how_a_command_is_called(command):
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0, done.output
    assert f" {command} " in done.output and len(done.output.splitlines()) > 5
    assert typer.main.get_command(app).commands[command].help.split()[0] in done.output


def test_a_command_that_is_not_there_is_refused():
    done = CliRunner().invoke(app, ["predcit"])
    assert done.exit_code == 2 and "predcit" in done.output
