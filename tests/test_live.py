"""A reader in front of the kernel sees bars; a notebook that runs by itself, and a page, holds nothing of them."""

import io
from collections import Counter

import pytest
from jupyter_client.manager import start_new_kernel

from cgdseg import live

LOOP = "from cgdseg import live\n\nassert list(live.bar(range({n}), desc='runs', disable=False)) == list(range({n}))"
NESTED = f"{LOOP.format(n=4)}\nfor _ in live.bar(range(3)):\n    list(live.bar(range(50), leave=False))"


@pytest.fixture(scope="module")
def said():
    """said(code, someone) -> how many messages of each kind a kernel sends while it runs the code."""
    manager, client = start_new_kernel(kernel_name="python3")

    def run(code: str, someone: bool, quiet: str = "") -> Counter:
        kinds: list[str] = []
        code = f"import os\nos.environ['TQDM_DISABLE'] = '{quiet}'\n{code}"
        answer = client.execute_interactive(
            code, allow_stdin=someone, timeout=60, output_hook=lambda message: kinds.append(message["msg_type"])
        )
        assert answer["content"]["status"] == "ok", answer["content"]
        return Counter(kind for kind in kinds if kind not in ("status", "execute_input"))

    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_a_kernel_knows_whether_someone_sits_in_front_of_it(said):
    said("from cgdseg import live\nassert live.someone_is_there()", True)
    said("from cgdseg import live\nassert not live.someone_is_there()", False)


def test_nobody_sees_no_bar_and_a_reader_one_of_widgets(said):
    assert not said(NESTED, False)
    assert not said(NESTED, True, quiet="1")
    seen = said(NESTED, True)
    assert seen["display_data"] == 1 + 1 + 3 and seen["comm_msg"] and not seen["stream"]


def test_a_terminal_has_bars_of_text(monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    assert live.kernel() is None and not live.someone_is_there()
    written = io.StringIO()
    assert list(live.bar(range(3), desc="runs", disable=False, file=written)) == [0, 1, 2]
    assert "runs: 100%" in written.getvalue()
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert list(live.bar(range(3), disable=False, file=(quiet := io.StringIO()))) == [0, 1, 2] and not quiet.getvalue()
