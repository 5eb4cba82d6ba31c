"""A reader in front of the kernel sees bars; a notebook that runs by itself, and a page, holds nothing of them."""

import io

import pytest
from jupyter_client.manager import start_new_kernel

from cgdseg import loops

SETUP = "import os\nos.environ['TQDM_DISABLE'] = '{quiet}'\nfrom cgdseg import loops\n"
NESTED = "for _ in loops.bar(range(3), desc='outer'):\n    list(loops.bar(range(9), desc='inner', leave=False))"


@pytest.fixture(scope="module")
def told():
    """told(code, someone) -> the messages (kind, text) of a kernel while it runs the code."""
    manager, client = start_new_kernel(kernel_name="python3")

    def run(code: str, someone: bool, quiet: str = "") -> list[tuple[str, str]]:
        heard: list[tuple[str, str]] = []

        def hear(message: dict) -> None:
            if message["msg_type"] not in ("status", "execute_input", "execute_result"):
                heard.append((message["msg_type"], message["content"].get("text", "")))

        code = SETUP.format(quiet=quiet) + code
        answer = client.execute_interactive(code, allow_stdin=someone, timeout=60, output_hook=hear)
        assert answer["content"]["status"] == "ok", answer["content"]
        return heard

    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def seen(messages: list[tuple[str, str]]) -> list[str]:
    """The lines that are left of streams, as JupyterLab draws them: what follows a \\r goes over what stands there."""
    assert {kind for kind, _ in messages} <= {"stream"}  # no widget: one dies with its kernel
    lines = []
    for line in "".join(text for _, text in messages).split("\n"):
        left = ""
        for piece in line.split("\r"):
            left = piece + left[len(piece) :]
        lines.append(left.rstrip())
    return [line for line in lines if line]


def test_a_kernel_knows_whether_someone_sits_in_front_of_it(told):
    told("assert loops.someone_is_there()", True)
    told("assert not loops.someone_is_there()", False)


def test_nobody_sees_no_bar_and_a_reader_those_that_are_in_no_other(told):
    assert not told(NESTED, False)
    assert not told(NESTED, True, quiet="1")
    assert not told("list(loops.bar(range(3), disable=True))", True)
    for _ in range(2):
        messages = told(f"{NESTED}\nassert list(loops.bar(iter(range(7)), disable=None)) == list(range(7))", True)
        outer, last = seen(messages)
        assert outer.startswith("outer: 100%") and "3/3 [" in outer and last.startswith("7it [")
        assert "inner" not in "".join(text for _, text in messages)
    assert not seen(told("list(loops.bar(range(3), leave=False))", True))


def test_a_bar_left_behind_does_not_silence_the_next_one(told):
    told("kept = iter(loops.bar(range(3), desc='old'))\nnext(kept)", True)
    (line,) = seen(told("list(loops.bar(range(3), desc='new'))", True))
    assert line.startswith("new: 100%")


def test_a_terminal_has_bars_of_text(monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    assert loops.kernel() is None and not loops.someone_is_there()
    written = io.StringIO()
    assert list(loops.bar(range(3), desc="runs", disable=False, file=written)) == [0, 1, 2]
    assert "runs: 100%" in written.getvalue()
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert list(loops.bar(range(3), disable=False, file=(quiet := io.StringIO()))) == [0, 1, 2] and not quiet.getvalue()
