"""A folder made beside its place: whole or not there, whoever else makes it, and whatever an earlier one left."""

import errno
import os
import socket

import pytest

from cgdseg.files import folder_atomic


def fill(folder, text):
    with folder_atomic(folder) as part:
        (part / "deep").mkdir()
        (part / "deep/a.txt").write_text(text)


def content(folder):
    return {path.name: path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_appears_whole_and_takes_the_place_of_what_was_there(tmp_path):
    folder = tmp_path / "new/made"
    with folder_atomic(folder) as part:
        (part / "a.txt").write_text("one")
        assert not folder.exists()
    assert content(folder) == {"a.txt": "one"} and folder.stat().st_mode == tmp_path.joinpath("new").stat().st_mode
    fill(folder, "two")
    assert content(folder) == {"a.txt": "two"} and not (folder / "a.txt").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["made"]


def test_an_error_leaves_all_as_it_was(tmp_path):
    folder = tmp_path / "made"
    for before in ({}, {"a.txt": "one"}):
        with pytest.raises(KeyError), folder_atomic(folder) as part:
            (part / "a.txt").write_text("half")
            raise KeyError
        assert content(tmp_path) == before
        fill(folder, "one")


def test_a_process_that_was_faster_wins(tmp_path):
    """With nothing there before, and with an older one that both replace."""
    folder = tmp_path / "made"
    for winner in ("theirs", "theirs again"):
        with folder_atomic(folder) as part:
            (part / "a.txt").write_text("ours")
            their = tmp_path / "their"
            their.mkdir()
            (their / "a.txt").write_text(winner)
            if folder.exists():
                folder.rename(tmp_path / "older")
            their.rename(folder)
        assert content(folder) == {"a.txt": winner} and not list(tmp_path.glob("*.part"))


def test_what_killed_processes_left_is_swept_and_the_living_keep_theirs(tmp_path):
    folder, host = tmp_path / "made", socket.gethostname()
    dead, ours = (tmp_path / f".made.{host}.{number}.part" for number in (2**22 + 5, os.getpid()))
    kept = [f".made.{host}.{os.getppid()}.part", f".made.elsewhere.{2**22 + 5}.part", f".other.{host}.{2**22 + 5}.part"]
    for left in (dead, tmp_path / f".made.{host}.old.{2**22 + 5}.part", ours, *map(tmp_path.joinpath, kept)):
        left.mkdir()
        (left / "half").touch()
    fill(folder, "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"made", *kept}


def test_what_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file/made could not be written \(.*\): "):
        fill(tmp_path / "file/made", "")


def test_what_stood_there_comes_back_when_it_cannot_be_replaced(tmp_path, monkeypatch):
    folder, replace = tmp_path / "made", os.replace
    fill(folder, "old")

    def full(source, target):
        if str(target) == str(folder) and ".old." not in str(source):
            raise OSError(errno.ENOSPC, "full")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="free some space"):
        fill(folder, "new")
    assert content(folder) == {"a.txt": "old"} and [path.name for path in tmp_path.iterdir()] == ["made"]
