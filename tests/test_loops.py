"""A reader in front of the kernel sees bars; a notebook that runs by itself, and a page, holds nothing of them."""

import io
from collections import Counter

import pytest
from jupyter_client.manager import start_new_kernel

from cgdseg import loops

SETUP = "import os\nos.environ['TQDM_DISABLE'] = '{quiet}'\nfrom cgdseg import loops\n"
LOOP = "assert list(loops.bar(range({n}), desc='runs', disable=False)) == list(range({n}))"
NESTED = f"{LOOP.format(n=4)}\nfor _ in loops.bar(range(3)):\n    list(loops.bar(range(50), leave=False))"
HOSTILE = "for _ in loops.bar(range(2), desc='<i>runs'):\n    list(loops.bar(range(9), desc='inner', leave=False))"


@pytest.fixture(scope="module")
def told():
    """told(code, someone) -> the messages (kind, HTML) of a kernel while it runs the code."""
    manager, client = start_new_kernel(kernel_name="python3")

    def run(code: str, someone: bool, quiet: str = "") -> list[tuple[str, str]]:
        heard: list[tuple[str, str]] = []

        def hear(message: dict) -> None:
            if message["msg_type"] not in ("status", "execute_input", "execute_result"):
                heard.append((message["msg_type"], message["content"].get("data", {}).get("text/html", "")))

        code = SETUP.format(quiet=quiet) + code
        answer = client.execute_interactive(code, allow_stdin=someone, timeout=60, output_hook=hear)
        assert answer["content"]["status"] == "ok", answer["content"]
        return heard

    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_a_kernel_knows_whether_someone_sits_in_front_of_it(told):
    told("assert loops.someone_is_there()", True)
    told("assert not loops.someone_is_there()", False)


def test_nobody_sees_no_bar_and_a_reader_one_output_a_cell(told):
    assert not told(NESTED, False)
    assert not told(NESTED, True, quiet="1")
    assert not told("list(loops.bar(range(3), disable=True))", True)
    for _ in range(2):
        kinds = Counter(kind for kind, _ in told(NESTED, True))
        assert kinds.pop("display_data") == 1 and set(kinds) == {
            "update_display_data"
        }  # no widget: dies with its kernel


def test_a_saved_notebook_keeps_finished_bars_and_no_others(told):
    pages = [html for _, html in told(f"{HOSTILE}\nlist(loops.bar(iter(range(7)), disable=None))", True)]
    assert any("inner" in html for html in pages) and "inner" not in pages[-1]
    assert 'aria-label="&lt;i&gt;runs" value="2" max="2"' in pages[-1] and "<i>" not in pages[-1]
    assert "2/2 [" in pages[-1] and "7it [" in pages[-1] and pages[-1].count("<progress") == 1
    assert told("list(loops.bar(range(3), leave=False))", True)[-1] == ("update_display_data", "")


def test_a_bar_left_behind_does_not_take_the_next_one(told):
    told("kept = iter(loops.bar(range(3), desc='old'))\nnext(kept)", True)
    assert "old" not in "".join(html for _, html in told("list(loops.bar(range(3), desc='new'))", True))


def test_a_terminal_has_bars_of_text(monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    assert loops.kernel() is None and not loops.someone_is_there()
    written = io.StringIO()
    assert list(loops.bar(range(3), desc="runs", disable=False, file=written)) == [0, 1, 2]
    assert "runs: 100%" in written.getvalue()
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert list(loops.bar(range(3), disable=False, file=(quiet := io.StringIO()))) == [0, 1, 2] and not quiet.getvalue()
