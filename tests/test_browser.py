"""Menus appear where a reader sits in front of them, and nowhere else."""

import inspect

import ipywidgets
import pandas as pd
import pytest
from jupyter_client.manager import start_new_kernel

from cgdseg import browser


def test_a_kernel_knows_whether_someone_sits_in_front_of_it():
    question = (
        f"from IPython import get_ipython\n{inspect.getsource(browser.someone_is_there)}\nprint(someone_is_there())"
    )
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        said = []
        for someone in (True, False):
            client.execute_interactive(
                question,
                allow_stdin=someone,
                timeout=60,
                output_hook=lambda message: said.append(message["content"].get("text")),
            )
        assert [text for text in said if text] == ["True\n", "False\n"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_nothing_is_shown_to_nobody(tiny_config):
    assert browser.browse(tiny_config, pd.DataFrame()) is None


@pytest.fixture
def shown(tiny_config, monkeypatch):
    """The widget, with predictions that only repeat what was asked for, and those."""
    asked: list[tuple[str, list[str]]] = []

    def predict(cfg, run, cases):
        asked.append((run.name, cases.image_id.tolist()))
        return []

    monkeypatch.setattr(browser, "someone_is_there", lambda: True)
    monkeypatch.setattr(browser, "trained_runs", lambda cfg: cfg.runs())
    monkeypatch.setattr(browser, "predict_cases", predict)
    rows = [(run.name, f"Photos/{k}", k / 10) for run in tiny_config.runs() for k in range(4)]
    table = pd.DataFrame(rows, columns=["run", "image_id", "f1"]).assign(part="test", label="Photos", gaze="")
    return browser.browse(tiny_config, table, n=2), asked


def test_a_menu_asks_for_its_images(shown):
    widget, asked = shown
    run, dataset, gaze, order = widget.children[0].children
    assert dataset.options == ("any", "Photos") and gaze.options == ("any",)
    assert asked == [("cgdseg-synthetic-42", ["Photos/0", "Photos/1"])]
    order.value = "best first"
    run.value = "unet-synthetic-42"
    assert asked[1:] == [(name, ["Photos/3", "Photos/2"]) for name in ("cgdseg-synthetic-42", "unet-synthetic-42")]
    assert isinstance(widget, ipywidgets.VBox) and "2 images" in widget.children[1].value
