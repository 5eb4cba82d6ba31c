"""Two at once in one folder: the second stops and names the first. What a dead owner left is taken over."""

import os
import signal
import subprocess
import sys
import time

import pytest
import toys
from trainer import CONTEXT, Trainer

from cgdseg import paths
from cgdseg.config import schema
from cgdseg.files import Busy, lock
from cgdseg.training import loop, resume

HOLD = """
import os, sys, time
from pathlib import Path
from cgdseg.files import lock

with lock(Path(sys.argv[1]), "it"):
    if os.fork() == 0:  # as the workers of a data loader
        os.closerange(0, 3)
        time.sleep(60)
        os._exit(0)
    print("mine", flush=True)
    time.sleep(60)
"""


def owner_of(path):
    owner = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, start_new_session=True)
    assert owner.stdout.readline() == b"mine\n"
    return owner


def test_the_second_is_refused_and_a_dead_owner_replaced(tmp_path, count):
    path = tmp_path / "deep/.lock"
    owner = owner_of(path)
    for patience_s in (0, 0.2):
        with pytest.raises(Busy, match=f"it is in the hands of process {owner.pid} on .*, since"):
            lock(path, "it", patience_s).__enter__()
    count("a second owner of a folder", 2)
    owner.kill()  # its forked child lives on and keeps the file open
    owner.wait()
    with lock(path, "it", 1.0):
        assert path.read_text().startswith(f"process {os.getpid()} ")
    os.killpg(owner.pid, signal.SIGKILL)
    path.write_text("process 1 on nowhere")  # left by a machine that lost its power
    with lock(path, "it"):
        pass
    count("lock of a dead owner", 2)


def _busy(home, cfg, run, said):
    paths.HOME, resume.ORPHAN_S = home, 0.2
    try:
        loop.train(schema.Config(**cfg), schema.Run(**run))
    except Busy as error:
        said.put(str(error))


def test_two_trainings_of_one_run(home, tiny_config, count):
    run = tiny_config.run("unet", "synthetic", 42)
    trainer = Trainer(home, tiny_config, run)
    said = CONTEXT.Queue()
    with lock(trainer.folder.with_name(f".{trainer.folder.name}.lock"), "it"):
        words = (home, tiny_config.model_dump(mode="json"), run.model_dump(), said)
        second = CONTEXT.Process(target=_busy, args=words)
        second.start()
        message = said.get(timeout=120)
        second.join()
    assert f"the training {trainer.folder.name} is in the hands of process {os.getpid()} on" in message
    count("a second owner of a folder", 1)


@pytest.mark.faults
def test_two_runners_and_two_reports_of_one_config(tmp_path, count):
    tree = toys.Tree(tmp_path)
    tree.edit("notebooks/01_data_audit.ipynb", "run = None", "run = None\\nimport time\\ntime.sleep(25)")
    first = subprocess.Popen(tree.command, cwd=tree.root, env=tree.environment, stdout=subprocess.DEVNULL)
    part = tree.root / "reports/toy/notebooks/01_data_audit.part.ipynb"
    deadline = time.monotonic() + 120
    while not part.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert tree.reports(expected_code=1) == []
    assert f"error: reports/toy is in the hands of process {first.pid} on" in tree.said
    command = [sys.executable, "-m", "cgdseg.cli", "run", "01_data_audit", "--config", "toy"]
    done = subprocess.run(command, cwd=tree.root, env=tree.environment, capture_output=True, text=True)
    assert done.returncode == 1 and "error: 01_data_audit is in the hands of process" in done.stderr
    assert first.wait() == 0
    assert tree.reports() == []
    count("a second owner of a folder", 2)
