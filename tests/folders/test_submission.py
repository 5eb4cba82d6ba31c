"""Every fault that would cost a submission points is found and named; archives that could do harm are not unpacked."""

import hashlib
import io
import json
import os
import shutil
import stat
import tarfile
import zipfile

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cgdseg.cli.shared import app
from cgdseg.data.images import BadFile
from cgdseg.folders.submission import TOP, archives, data_sets
from cgdseg.folders.submission.checking import check_submission
from cgdseg.folders.submission.writing import write_submission
from cgdseg.training import loop, runs

SETS = {"MASD": 6, "SBVPI": 2}
N_FILES = 2 * 2 * sum(SETS.values())


def draw(rng, looser=0):
    """Map and mask (300, 400) uint8 of an eye that looks the same from no other side."""
    mask = np.zeros((300, 400), np.uint8)
    centre = (int(rng.integers(150, 180)), int(rng.integers(110, 130)))
    cv2.ellipse(mask, centre, (110 + looser, 60 + looser), 12, 0, 360, 255, -1)
    cv2.ellipse(mask, (centre[0] + 60, centre[1] + 30), (70, 30), -20, 0, 360, 255, -1)
    cv2.circle(mask, (centre[0] - 20, centre[1] - 10), 45, 0, -1)
    grey = cv2.GaussianBlur(mask, (0, 0), 4)
    return grey, np.where(grey >= 128, 255, 0).astype(np.uint8), mask


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


@pytest.fixture(scope="session")
def clean(tmp_path_factory):
    """A submission without fault, its test images and truth masks."""
    root = tmp_path_factory.mktemp("clean")
    for name, n in SETS.items():
        for stem in range(n):
            for looser, track in enumerate(("Synthetic", "Mixed")):
                grey, mask, truth = draw(np.random.default_rng([stem, n]), 2 * looser)
                save(root / TOP / track / name / "Predictions" / f"{stem}.png", grey)
                save(root / TOP / track / name / "Binarised" / f"{stem}.png", mask)
            save(root / "images" / name / "Images" / f"{stem}.jpg", np.full((60, 80, 3), 90, np.uint8))
            save(root / "truth" / name / f"{stem}.png", truth)
    return root


@pytest.fixture
def tree(clean, tmp_path):
    shutil.copytree(clean / TOP, tmp_path / TOP)
    return tmp_path / TOP


def known(clean):
    return {"images": data_sets(clean / "images", "Images"), "truth": data_sets(clean / "truth", "Masks")}


def change(path, how, **options):
    pixels = np.array(Image.open(path))
    save(path, how(pixels), **options)


def resave(mode):
    def fault(path):
        Image.open(path).convert(mode).save(path)

    return fault


def flip_both(axis):
    def fault(path):
        for kind in ("Predictions", "Binarised"):
            change(path.parents[1] / kind / path.name, lambda pixels: np.flip(pixels, axis))

    return fault


def flip_all(path):
    for each in path.parent.iterdir():
        flip_both(0)(each)


def with_transparency(path):
    pixels = np.array(Image.open(path))
    save(path, np.dstack([pixels, pixels, pixels, np.full_like(pixels, 200)]))


def as_jpeg(path):
    Image.open(path).save(path, format="JPEG")


def as_other_file(path):
    Image.open(path).save(path.with_suffix(".jpg"))
    path.unlink()


def colour(path):
    change(path, lambda pixels: np.dstack([pixels, pixels // 2, pixels // 3]))


def sixteen_bits(path):
    change(path, lambda pixels: pixels.astype(np.uint16) * 257)


def palette(path):
    image = Image.fromarray((np.array(Image.open(path)) > 0).astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 255, 255, 255])
    image.save(path)


def cut(pixels):
    return pixels * (np.arange(400) > 110).astype(np.uint8)


def link(path):
    path.rename(path.with_name("kept.txt"))
    path.symlink_to(path.with_name("kept.txt"))


def capital(path):
    path.rename(path.with_suffix(".PNG"))


MAP, MASK = "Mixed/MASD/Predictions/3.png", "Mixed/MASD/Binarised/3.png"
FAULTS = {  # how a file is spoilt, which file, what must be said of it (of another file, where it says so)
    "ones": (MASK, lambda path: change(path, lambda p: p // 255), "error", "values", "counts as empty"),
    "soft mask": (MASK, lambda path: change(path, lambda p: cv2.blur(p, (5, 5))), "error", "values", "the values 0"),
    "small": (MASK, lambda path: change(path, lambda p: p[::2, ::2].copy()), "error", "size", "200x150"),
    "large map": (MAP, lambda path: change(path, lambda p: p.repeat(2, 0)), "error", "size", "400x600"),
    "on its side": (MAP, lambda path: change(path, lambda p: p.T.copy()), "error", "size", "300x400"),
    "JPEG in .png": (MAP, as_jpeg, "error", "unreadable", "JPEG"),
    ".jpg": (MASK, as_other_file, "error", "not png", ".jpg", "Mixed/MASD/Binarised/3.jpg"),
    ".PNG": (MASK, capital, "error", "not png", ".PNG", "Mixed/MASD/Binarised/3.PNG"),
    "colour": (MAP, colour, "error", "mode", "colours"),
    "grey as RGB": (MAP, resave("RGB"), "error", "mode", "three equal channels"),
    "16 bits": (MAP, sixteen_bits, "error", "mode", "more than 8 bits"),
    "alpha": (MASK, with_transparency, "error", "mode", "alpha"),
    "grey alpha": (MASK, resave("LA"), "error", "mode", "alpha"),
    "palette": (MASK, palette, "error", "mode", "palette"),
    "1 bit": (MASK, resave("1"), "warning", "mode", "1 bit"),
    "zero bytes": (MAP, lambda path: path.write_bytes(b""), "error", "unreadable", "zero bytes"),
    "truncated": (MAP, lambda path: path.write_bytes(path.read_bytes()[:-60]), "error", "unreadable", "damaged"),
    "text": (MASK, lambda path: path.write_text("a mask"), "error", "unreadable", "no image"),
    "binary map": (MAP, lambda path: change(path, lambda p: p // 128 * 255), "error", "binary map", "a mask, not"),
    "map of 0 and 1": (MAP, lambda path: change(path, lambda p: p // 128), "error", "binary map", "(0, 1)"),
    "black map": (MAP, lambda path: change(path, lambda p: 0 * p), "warning", "blank", "all black"),
    "black mask": (MASK, lambda path: change(path, lambda p: 0 * p), "warning", "blank", "all black"),
    "white mask": (MASK, lambda path: change(path, lambda p: 0 * p + 255), "warning", "blank", "all white"),
    "map upside down": (MAP, lambda path: change(path, np.flipud), "error", "turned", "upside down"),
    "map mirrored": (MAP, lambda path: change(path, np.fliplr), "error", "turned", "mirrored"),
    "mask turned": (MASK, lambda path: change(path, lambda p: p[::-1, ::-1].copy()), "error", "turned", "180", MAP),
    "mask upside down": (MASK, lambda path: change(path, np.flipud), "error", "turned", "upside down", MAP),
    "inverted map": (MAP, lambda path: change(path, lambda p: 255 - p), "error", "disagree", "no threshold"),
    "other eye": (MAP, lambda path: change(path, lambda p: np.roll(p, 90, 1)), "error", "disagree", "no threshold"),
    "cut mask": (MASK, lambda path: change(path, cut), "warning", "disagree", "no threshold", MAP),
    "both upside down": (MASK, flip_both(0), "warning", "turned", "Synthetic track's"),
    "both mirrored": (MASK, flip_both(1), "warning", "turned", "mirrored"),
    "all upside down": (MASK, flip_all, "warning", "turned", "Synthetic track's", "Mixed/MASD"),
    "missing mask": (MASK, lambda path: path.unlink(), "error", "missing", "is missing"),
    "missing map": (MAP, lambda path: path.unlink(), "error", "missing", "is missing"),
    "missing folder": (MASK, lambda path: shutil.rmtree(path.parent), "error", "missing", "is missing",
                       "Mixed/MASD/Binarised"),
    "missing set": (MASK, lambda path: shutil.rmtree(path.parents[1]), "error", "missing", "is missing",
                    "Mixed/MASD/Binarised"),
    "missing track": (MASK, lambda path: shutil.rmtree(path.parents[2]), "warning", "track", "is missing", "Mixed"),
    "extra file": (MASK, lambda path: path.with_name("notes.txt").write_text("hm"), "error", "extra", "no place",
                   "Mixed/MASD/Binarised/notes.txt"),
    "stray image": (MASK, lambda path: shutil.copy(path, path.with_name("99.png")), "error", "extra", "no test image",
                    "Mixed/MASD/Binarised/99.png"),
    "lone file": (MASK, lambda path: (path.parents[1] / "notes.md").write_text("hm"), "error", "extra", "no place",
                  "Mixed/MASD/notes.md"),
    "deep file": (MASK, lambda path: save(path.parent / "more" / "3.png", np.zeros((300, 400), np.uint8)), "error",
                  "extra", "no place", "Mixed/MASD/Binarised/more/3.png"),
    "wrong folder": (MASK, lambda path: path.parent.rename(path.parents[1] / "binary"), "error", "folder",
                     "no folder of the kit", "Mixed/MASD/binary"),
    "wrong track": (MASK, lambda path: path.parents[2].rename(path.parents[3] / "mixed"), "error", "folder",
                    "no folder of the kit", "mixed"),
    "left behind": (MASK, lambda path: path.with_name(".DS_Store").write_text(""), "warning", "left behind", "system",
                    "Mixed/MASD/Binarised/.DS_Store"),
    "link": (MASK, link, "error", "link", "is a link"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_named(tree, name):
    file, spoil, severity, fault, words, *elsewhere = FAULTS[name]
    spoil(tree / file)
    found = check_submission(tree)
    hits = found[(found.file == (elsewhere or [file])[0]) & (found.fault == fault) & (found.severity == severity)]
    assert hits.reason.str.contains(words, regex=False).any(), found.to_string()
    assert found.mend.str.len().min() > 0
    if severity == "error" and fault not in ("folder", "missing"):  # these make many files missing
        others = set(found[found.severity == "error"].file) - {hits.file.iloc[0], file}
        assert len(others) <= (name == "link"), f"said of other files: {others}"


@pytest.mark.parametrize("kind", ["folder", "above", "zip", "tar.gz", "tar"])
def test_a_clean_submission_gives_no_finding(clean, kind, tmp_path):
    path = {"folder": clean / TOP, "above": clean}.get(kind, tmp_path / f"mine.{kind}")
    if kind == "zip":
        archives.pack(clean / TOP, path)
    elif kind.startswith("tar"):
        with tarfile.open(path, f"w:{kind[4:]}") as file:
            file.add(clean / TOP, TOP)
    before = snapshot(clean / TOP)
    assert check_submission(path).empty
    assert check_submission(path, **known(clean)).empty
    assert snapshot(clean / TOP) == before, "the submission itself is only read"


def snapshot(folder):
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def test_images_and_truth_tell_what_must_be_there(tree, clean):
    for track in ("Synthetic", "Mixed"):
        for kind in ("Predictions", "Binarised"):
            (tree / track / "MASD" / kind / "0.png").unlink()
            shutil.copy(tree / track / "MASD" / kind / "1.png", tree / track / "MASD" / kind / "77.png")
        shutil.copytree(tree / track / "SBVPI", tree / track / "MOBIUS")
    assert check_submission(tree).empty, "without them, both tracks agree"
    for expected in ({"images": known(clean)["images"]}, {"truth": known(clean)["truth"]}):
        found = check_submission(tree, **expected).set_index("file").fault
        assert found["Mixed/MASD/Binarised/0.png"] == "missing" and found["Mixed/MASD/Predictions/77.png"] == "extra"
        assert found["Synthetic/MOBIUS"] == "folder"


def test_truth_tells_which_track_is_turned(tree, clean):
    for path in (tree / "Mixed" / "MASD" / "Binarised").iterdir():
        flip_both(0)(path)
    found = check_submission(tree, **known(clean))
    assert (found.severity == "error").all() and found.file.str.startswith("Mixed/MASD").all()
    assert "Mixed/MASD" in set(found.file) and "its truth's" in found.reason.iloc[0]


def test_the_top_folder_must_be_there(clean, tmp_path):
    shutil.copytree(clean / TOP, tmp_path / "mine")
    assert check_submission(tmp_path / "mine").fault.tolist() == ["top"]
    shutil.copytree(clean / TOP, tmp_path / "a" / "b" / TOP)
    assert "not lie on top" in check_submission(tmp_path / "a").reason.item()
    (tmp_path / "none").mkdir()
    assert "holds no" in check_submission(tmp_path / "none").reason.item()
    (tmp_path / "empty" / TOP / "Mixed").mkdir(parents=True)
    assert "holds no data set" in check_submission(tmp_path / "empty").reason.tolist()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        check_submission(tmp_path / "nowhere")


def test_what_lies_beside_the_top_folder_is_sent_too(clean, tmp_path):
    archives.pack(clean / TOP, tmp_path / "mine.zip")
    with zipfile.ZipFile(tmp_path / "mine.zip", "a") as file:
        file.writestr("paper.pdf", b"x")
        file.writestr("__MACOSX/._x", b"x")
    found = check_submission(tmp_path / "mine.zip").set_index("file").severity
    assert found.to_dict() == {"paper.pdf": "error", "__MACOSX": "warning"}


def zip_of(path, *entries, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content, *mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = (mode[0] if mode else stat.S_IFREG | 0o644) << 16
            info.compress_type = method
            file.writestr(info, content)
    return path


def tar_of(path, *entries):
    with tarfile.open(path, "w:gz") as file:
        for name, content, kind in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(content)
                file.addfile(info, io.BytesIO(content))
            else:
                info.linkname = content
                file.addfile(info)
    return path


def huge_name(path):
    with tarfile.open(path, "w:gz", format=tarfile.GNU_FORMAT) as file:
        file.addfile(tarfile.TarInfo("x" * 2**21))
    return path


def sparse(path):
    """A file that says it has 8 GB, in a few bytes."""
    header = tarfile.TarInfo(f"{TOP}/a.png").tobuf(tarfile.GNU_FORMAT)
    header = bytearray(header)
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[483:495] = b"%011o\0" % (8 * 2**30 - 1)
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:512]))
    path.write_bytes(bytes(header) + bytes(1024))
    return path


def encrypted(path):
    raw = bytearray(zip_of(path, ("a", b"x")).read_bytes())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        raw[raw.index(mark) + offset] |= 1
    path.write_bytes(raw)
    return path


def liar(path):
    """A zip whose file is a million times larger than its headers say."""
    raw = bytearray(zip_of(path, ("a", bytes(10**6))).read_bytes())
    for mark, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        start = raw.index(mark) + offset
        raw[start : start + 4] = (1).to_bytes(4, "little")
    path.write_bytes(raw)
    return path


FILE, SYMLINK, HARD, DEVICE = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE
ATTACKS = {
    "zip slip": (lambda p: zip_of(p, ("../../evil.png", b"x")), "leads out"),
    "hidden slip": (lambda p: zip_of(p, (f"{TOP}/a/../../../evil.png", b"x")), "leads out"),
    "backslashes": (lambda p: zip_of(p, ("..\\evil.png", b"x")), "other systems"),
    "drive": (lambda p: zip_of(p, ("C:evil.png", b"x")), "other systems"),
    "absolute": (lambda p: zip_of(p, ("/tmp/evil.png", b"x")), "absolute"),
    "device name": (lambda p: zip_of(p, (f"{TOP}/nul.png", b"x")), "not every system"),
    "folder slip": (lambda p: zip_of(p, ("../evil/", b"")), "leads out"),
    "symbolic link": (lambda p: zip_of(p, ("a", b"/etc/passwd", stat.S_IFLNK | 0o777)), "link or a device"),
    "fifo": (lambda p: zip_of(p, ("a", b"", stat.S_IFIFO | 0o644)), "link or a device"),
    "encrypted": (encrypted, "encrypted"),
    "other method": (lambda p: zip_of(p, ("a", b"x"), method=zipfile.ZIP_LZMA), "another method"),
    "liar": (liar, "cannot be unpacked"),
    "bomb": (lambda p: zip_of(p, *((f"{i}", bytes(2**20)) for i in range(9))), "as bombs do"),
    "large file": (lambda p: zip_of(p, ("a", bytes(17 * 2**20))), "17,825,792 bytes"),
    "many": (lambda p: zip_of(p, *((f"{i}", b"") for i in range(60))), "more than 50 files"),
    "twice": (lambda p: zip_of(p, ("A.png", b"x"), ("a.png", b"y")), "twice"),
    "file as folder": (lambda p: zip_of(p, ("a", b"x"), ("a/b", b"y")), "cannot be unpacked"),
    "truncated zip": (lambda p: p.write_bytes(zip_of(p, ("a", bytes(999))).read_bytes()[:-30]), "cannot be unpacked"),
    "no archive": (lambda p: p.write_bytes(b"just text"), "cannot be unpacked"),
    "nothing": (lambda p: p.write_bytes(b""), "cannot be unpacked"),
    "tar slip": (lambda p: tar_of(p, ("../evil.png", b"x", FILE)), "leads out"),
    "tar absolute": (lambda p: tar_of(p, ("/tmp/evil.png", b"x", FILE)), "absolute"),
    "tar link": (lambda p: tar_of(p, ("a", "/etc/passwd", SYMLINK)), "link or a device"),
    "tar hard link": (lambda p: tar_of(p, ("a", "/etc/passwd", HARD)), "link or a device"),
    "tar device": (lambda p: tar_of(p, ("a", "", DEVICE)), "link or a device"),
    "tar bomb": (lambda p: tar_of(p, *((f"{i}", bytes(2**20), FILE) for i in range(9))), "as bombs do"),
    "tar name": (huge_name, "header of"),
    "tar sparse": (sparse, "link or a device"),
    "tar folder slip": (lambda p: tar_of(p, ("../evil", "", tarfile.DIRTYPE)), "leads out"),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_refused_before_anything_lands_outside(name, tmp_path, monkeypatch):
    make, words = ATTACKS[name]
    monkeypatch.setattr(archives, "MAX_MEMBERS", 50)
    path = tmp_path / "mine"
    make(path)
    folder = tmp_path / "deep" / "inside"
    folder.mkdir(parents=True)
    with pytest.raises(BadFile, match=words):
        archives.unpack(path, folder)
    if name not in ("liar", "file as folder"):  # these are known only when they are read
        assert not any(folder.iterdir())
    assert {path.name for path in tmp_path.rglob("*")} <= {"mine", "deep", "inside", "a"}
    found = check_submission(path)
    assert found.fault.tolist() == ["archive"] and found.severity.tolist() == ["error"]


def test_unpacking_gives_back_what_was_packed(clean, tmp_path):
    archives.pack(clean / TOP, tmp_path / "mine.zip")
    shutil.copytree(clean / TOP, tmp_path / "again" / TOP)
    for path in (tmp_path / "again").rglob("*.png"):
        os.utime(path, (1, 1))
    archives.pack(tmp_path / "again" / TOP, tmp_path / "again.zip")
    hashes = {hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("mine.zip", "again.zip")}
    assert len(hashes) == 1, "same files, same bytes"
    archives.unpack(tmp_path / "mine.zip", tmp_path / "out")
    files = [path.relative_to(clean) for path in (clean / TOP).rglob("*.png")]
    assert len(files) == N_FILES
    assert all((tmp_path / "out" / file).read_bytes() == (clean / file).read_bytes() for file in files)


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_check_as_a_command(clean, tree, tmp_path):
    good = invoke("check-submission", clean / TOP, "--images", clean / "images", "--truth", clean / "truth")
    assert good.exit_code == 0 and "0 errors, 0 warnings" in good.output, good.output
    change(tree / MASK, lambda pixels: pixels // 255)
    (tree / "Synthetic" / "SBVPI" / "Binarised" / "._0.png").write_bytes(b"")
    bad = invoke("check-submission", tree, "--json", tmp_path / "found.json")
    assert bad.exit_code == 1 and MASK in bad.output and "1 errors, 1 warnings" in bad.output, bad.output
    content = json.loads((tmp_path / "found.json").read_text())
    assert content["errors"] == 1 and set(content["findings"][0]) == {"file", "severity", "fault", "reason", "mend"}
    assert invoke("check-submission", tmp_path / "nowhere").exit_code == 1
    assert "no data sets" in invoke("check-submission", tree, "--images", clean / "images" / "MASD").output


@pytest.fixture
def run(tiny_config):
    run = tiny_config.run("unet", "synthetic", 42)
    loop.train(tiny_config, run)
    return runs.run_folder(tiny_config, run)


def test_submit_writes_what_the_check_accepts(run, home):
    sets = home / "Evaluation"
    for name in ("MASD", "SBVPI"):
        for i in range(3):
            target = sets / name / "Images" / ("anna" if name == "MASD" else "") / f"{i}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(home / "Photos" / "Images" / f"{i}.png", target)
    words = ["submit", "--synthetic", run, "--mixed", run, "--images", sets, "--out", home / "out"]
    done = invoke(*words)
    archive = home / "out" / f"{TOP}.zip"
    assert archive.exists(), done.output
    first = archive.read_bytes()
    names = zipfile.ZipFile(archive).namelist()
    assert f"{TOP}/Mixed/MASD/Binarised/0.png" in names, "sub-folders are flattened"
    assert len(names) == 2 * 2 * 6
    pixels = np.array(Image.open(home / "out" / TOP / "Synthetic" / "SBVPI" / "Predictions" / "2.png"))
    assert pixels.shape == (300, 400) and pixels.dtype == np.uint8
    found = check_submission(archive, images=data_sets(sets, "Images"))
    assert done.exit_code == int((found.severity == "error").any()) and f"{len(found)} warnings" in done.output
    again = invoke(*words)
    assert again.exit_code == 1 and "is there already" in again.output
    (home / "out" / TOP / "Mixed" / "stale.txt").write_text("x")
    invoke(*words, "--overwrite")
    assert archive.read_bytes() == first, "the same predictions give the same bytes, and nothing old stays"


def test_submit_names_what_it_cannot_do(run, home):
    photos = home / "Photos" / "Images"
    (photos / "broken.png").write_bytes(b"not an image")
    one = invoke("submit", "--mixed", run, "--dataset", f"MASD={photos}", "--out", home / "out")
    assert one.exit_code == 1 and "broken.png" in one.output and "do not send" in one.output
    assert "Synthetic is missing" in one.output
    assert "no test images" in invoke("submit", "--mixed", run, "--out", home / "o").output
    assert "NAME=DIR" in invoke("submit", "--mixed", run, "--dataset", "MASD", "--out", home / "o").output
    with pytest.raises(ValueError, match="give a run"):
        write_submission({}, {"MASD": photos}, home / "o")
    (home / "none").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no image"):
        write_submission({"Mixed": run}, {"MASD": home / "none"}, home / "o")
    assert not (home / "o" / TOP).exists()
