"""Archives: packed to the same bytes every time, unpacked only when nothing in them can do harm.

pack(folder, archive.zip); unpack(archive of zip or tar, empty folder), which reads every name and size before it writes
a byte and raises BadFile for what points outside, links, swells, or is too much."""

import bz2
import gzip
import lzma
import re
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from cgdseg.data.images import BadFile
from cgdseg.files import write_atomic

MAX_MEMBERS = 200_000  # two tracks of 50,000 images
MAX_UNPACKED = 4 * 2**30  # unpacked, all together
MAX_FILE = 16 * 2**20  # a PNG at 400x300 has 1 MB at the very most
MAX_SWELL = 100  # unpacked / packed; PNGs hardly pack, even black ones by less than ten
FREE_SWELL = 2**20  # small archives may swell by this much anyway
MAX_HEADER = 2**20  # a tar's long names; Python would read any length of them into memory
TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.IGNORECASE)  # names that Windows takes for devices
TOO_MUCH = "unpacks to more than {:,} bytes, as bombs do"
LINK = "which is a link or a device"
AGAIN = "pack the folder again, with plain files only"


def pack(folder: Path, archive: Path) -> None:
    """Write all files below a folder into a zip, with the folder's name on top: same files, same bytes, any machine."""

    def write(part: Path) -> None:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as file:  # PNGs are packed already
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                info = zipfile.ZipInfo(path.relative_to(folder.parent).as_posix(), TIME)
                info.create_system, info.external_attr = 3, 0o100644 << 16  # an ordinary file, as Unix writes it
                file.writestr(info, path.read_bytes())

    write_atomic(archive, write)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz into an empty folder.

    Raises BadFile before anything is written; of a broken file, when it is reached."""
    with _open(archive) as members:
        _refuse_harm(archive, members)
    with _open(archive) as members:  # tars can only be read from the front
        for member in members:
            target = folder / PurePosixPath(member.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            with member.open() as source, open(target, "xb") as file:  # both libraries stop at the size they were told
                shutil.copyfileobj(source, file, 2**16)


class Member(NamedTuple):
    """A file in an archive, or a folder that is no good."""

    name: str
    size: int  # bytes, unpacked
    fault: str  # what is wrong with its kind or, of a folder, with its name
    open: Callable[[], IO[bytes]] | None


def _refuse_harm(archive: Path, members: Iterator[Member]) -> None:
    limit, total, seen = _most_bytes(archive), 0, set()
    for n, (name, size, fault, _) in enumerate(members, start=1):
        total += size
        key = name.casefold()  # Windows and macOS know no capitals
        if n > MAX_MEMBERS:
            raise BadFile(archive, f"holds more than {MAX_MEMBERS:,} files", "pack only the predictions")
        if reason := fault or _harm_of_name(name):
            raise BadFile(archive, f"holds {name!r}, {reason}", AGAIN)
        if size > MAX_FILE:
            raise BadFile(archive, f"holds {name!r} of {size:,} bytes", f"pack files of at most {MAX_FILE:,}")
        if total > limit:
            raise BadFile(archive, TOO_MUCH.format(limit), "pack only the predictions")
        if key in seen:
            raise BadFile(archive, f"holds {name!r} twice, capitals aside", AGAIN)
        seen.add(key)


def _most_bytes(archive: Path) -> int:
    """How much an honest archive of its size unpacks to."""
    return min(MAX_UNPACKED, MAX_SWELL * archive.stat().st_size + FREE_SWELL)


def _harm_of_name(name: str) -> str:
    parts = name.split("/")
    if not name or "\0" in name or "\\" in name or ":" in name or any(ord(letter) < 32 for letter in name):
        return "a name that other systems read otherwise"
    if name.startswith("/"):
        return "an absolute path"
    if ".." in parts:
        return "a path that leads out of the folder"
    if "" in parts or "." in parts or any(DEVICES.match(part) or len(part.encode()) > 255 for part in parts):
        return "a path that not every system can write"
    return ""


@contextmanager
def _open(archive: Path) -> Iterator[Iterator[Member]]:
    """The files in an archive, without its folders. Raises BadFile for what is no archive or broken."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                yield _zip_members(file)
        else:
            with _tar_stream(archive) as stream, tarfile.open(fileobj=_Metered(stream, archive), mode="r:") as file:
                yield _tar_members(file)
    except BadFile:
        raise
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, lzma.LZMAError, OSError, ValueError, RuntimeError) as error:
        reason = f"cannot be unpacked ({type(error).__name__}: {error})"
        raise BadFile(archive, reason, "give a folder, a .zip or a .tar.gz, packed again") from None


def _zip_members(file: zipfile.ZipFile) -> Iterator[Member]:
    for info in file.infolist():
        fault = ""
        if info.flag_bits & 1:
            fault = "which is encrypted"
        elif info.compress_type not in PLAIN:
            fault = "packed by another method than deflate"
        elif stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            fault = LINK
        if not info.is_dir():
            yield Member(info.filename, info.file_size, fault, lambda info=info: file.open(info))
        elif fault := fault or _harm_of_name(info.filename.rstrip("/")):
            yield Member(info.filename, 0, fault, None)


def _tar_members(file: tarfile.TarFile) -> Iterator[Member]:
    for info in file:
        file.members = []  # else it remembers every one
        name = info.name.removeprefix("./")
        if not info.isdir():
            fault = "" if info.isreg() and not info.issparse() else LINK
            yield Member(name, info.size, fault, lambda info=info: file.extractfile(info))
        elif name != "." and (fault := _harm_of_name(name.rstrip("/"))):
            yield Member(name, 0, fault, None)


def _tar_stream(archive: Path) -> IO[bytes]:
    with open(archive, "rb") as file:
        start = file.read(6)
    for magic, opener in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open)):
        if start.startswith(magic):
            return opener(archive, "rb")
    return open(archive, "rb")


class _Metered:
    """What a tar is read through: stops when more comes out of it than an honest archive of its size holds."""

    def __init__(self, stream: IO[bytes], archive: Path):
        self.stream, self.archive = stream, archive
        self.limit = 2 * _most_bytes(archive)  # headers come on top

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_HEADER:
            raise BadFile(self.archive, f"holds a header of {size:,} bytes, as bombs do", AGAIN)
        if self.stream.tell() + size > self.limit:
            raise BadFile(self.archive, TOO_MUCH.format(self.limit), AGAIN)
        return self.stream.read(size)

    def seek(self, offset: int) -> int:
        if offset > self.limit:
            raise BadFile(self.archive, TOO_MUCH.format(self.limit), AGAIN)
        return self.stream.seek(offset)

    def tell(self) -> int:
        return self.stream.tell()
