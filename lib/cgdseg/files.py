"""Files and folders that are whole or not there: made beside and renamed; locks with one owner.

write_atomic(path, content); with folder_atomic(folder) as part: ...; with lock(path, what): ..."""

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

MENDS = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space of your quota",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
    errno.EROFS: "the disk is read-only; set CGDSEG_HOME to a folder that is not",
    errno.EACCES: "make the folder writable, or set CGDSEG_HOME to one that is",
    errno.ENAMETOOLONG: "give it a shorter name",
}


class Busy(RuntimeError):
    """What one process at a time may write is being written by another."""


def write_atomic(path: Path, content: str | bytes | Callable[[Path], object]) -> None:
    """Write all of a file or nothing of it. `content` may be a function that writes to the path it is given.

    Raises OSError that names the file, the reason and the mend; what was there before stays as it was."""
    path = Path(path)
    part = path.with_name(f".{path.name[-40:]}.{os.getpid()}.part")  # a long name must not become too long
    with saying_where(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if callable(content):
                content(part)
            else:
                part.write_bytes(content.encode() if isinstance(content, str) else content)
            with open(part, "rb") as file:
                os.fsync(file.fileno())  # a rename may reach the disk before the bytes do
            os.replace(part, path)
        finally:
            with contextlib.suppress(OSError):  # where nothing can be removed, nothing was written
                part.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_atomic(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to fill, which then takes the place of `folder`; an error leaves all as it was.

    What stood there before is replaced; what another process put there in the meantime stays, and ours goes."""
    ours = f".{folder.name[-40:]}.{socket.gethostname()}."  # machines that share a disk share no process numbers
    part, old = (folder.with_name(f"{ours}{what}{os.getpid()}.part") for what in ("", "old."))
    before = folder.exists() and folder.stat().st_ino
    with saying_where(folder):
        for left in folder.parent.glob("*.part"):
            if left.name.startswith(ours) and (left == part or not _lives(left.name.split(".")[-2])):
                shutil.rmtree(left, ignore_errors=True)
        part.mkdir(parents=True)
    try:
        yield part
        with saying_where(folder):
            if before and folder.exists() and folder.stat().st_ino == before:
                os.replace(folder, old)
            try:
                os.replace(part, folder)
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:  # another process was faster
                    if old.exists():
                        os.replace(old, folder)
                    raise
    finally:
        for done in (part, old):
            shutil.rmtree(done, ignore_errors=True)


def _lives(process: str) -> bool:
    """Whether a process of this number runs, or may run."""
    try:
        os.kill(int(process), 0)  # signal 0 only asks
    except ProcessLookupError:
        return False
    except (ValueError, OverflowError, OSError):
        pass
    return True


@contextlib.contextmanager
def saying_where(path: Path) -> Iterator[None]:
    """Have an OSError name the path that could not be written: a full disk by itself says no more than that."""
    try:
        yield
    except OSError as error:
        reason, mend = error.strerror or str(error), MENDS.get(error.errno, "check the disk and its permissions")
        raise OSError(error.errno, f"{path} could not be written ({reason}): {mend}") from None


@contextlib.contextmanager
def lock(path: Path, what: str, patience_s: float = 0.0) -> Iterator[None]:
    """Hold a lock file as its only owner. Raises Busy, which names the owner, when it is taken for `patience_s`.

    The kernel frees it when its owner dies, however it dies; a child that was forked does not inherit it."""
    deadline = time.monotonic() + patience_s
    with saying_where(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+")  # noqa: SIM115  closed below, where errors are no longer about this file
    with file:
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in {errno.EACCES, errno.EAGAIN}:
                    raise OSError(error.errno, f"{path} could not be locked ({error.strerror})") from None
            if time.monotonic() >= deadline:
                file.seek(0)
                owner = file.read().strip() or "another process"
                raise Busy(f"{what} is in the hands of {owner}: wait until it is done, or end it")
            time.sleep(0.1)
        with saying_where(path):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}")
            file.flush()
        yield
