"""One small reader per on-disk layout.

In: a dataset's root folder. Out: Pairs (an image, its mask, who and how), and Findings about what does not fit."""

import fnmatch
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cgdseg.config import Dataset
from cgdseg.data.images import FORMATS
from cgdseg.text import utf8


class Pair(NamedTuple):
    """An image and its mask (absolute paths). `part` is the kit's own Training or Validation, `device` the camera.

    What names do not tell is empty."""

    image: Path
    mask: Path
    subject: str
    eye: str = ""
    gaze: str = ""
    part: str = ""
    device: str = ""


class Finding(NamedTuple):
    """What is wrong with a file; `used` False means it was left out."""

    file: str
    reason: str
    mend: str
    used: bool = False


PairsAndFindings = Iterator[Pair | Finding]
SBVPI_NAME = re.compile(r"(?:\d+_)?(\d+)([LR])_([a-z])_(\d+)")  # 12L_s_3; the kit's flat copy puts "12_" before
MOBIUS_NAME = re.compile(r"(?:\d+_)?(\d+)_[123][inp]_([LR])([lrsu])_(\w+)")  # 7_1i_Ll_2
MOBIUS_PHONE = re.compile(r"_([123])[inp]_")
SLD_NAME = re.compile(r"(\d+)\s*\(\d+\).*")  # 31 (4)
NO_MASK = "has no mask"
DOCUMENTS = {".txt", ".md", ".pdf", ".csv", ".json"}
SBVPI_MASKS = ("sclera", "iris", "pupil", "vessels", "canthus", "eyelashes", "periocular")


def read_layout(name: str, dataset: Dataset) -> tuple[list[Pair], list[Finding]]:
    """Read the dataset's folder in its layout; subjects become "<name>:<subject>".

    Raises FileNotFoundError that names the folder and how to obtain the data."""
    root = dataset.folder
    if not root.is_dir():
        mend = "correct its `root:` in the config; data/README.md says how to obtain the public sets"
        if dataset.stand_in:
            mend = "run notebooks/01_data_audit.ipynb, which renders its stand-in"
        raise FileNotFoundError(f"dataset {name} has no folder {root}: {mend}")
    globs = {"images": dataset.images, "masks": dataset.masks, "person": dataset.person}
    reader = partial(plain, **globs) if dataset.layout == "plain" else READERS[dataset.layout]
    pairs, findings = [], []
    for found in reader(root):
        if isinstance(found, Finding):
            findings.append(found._replace(file=utf8(found.file), reason=utf8(found.reason)))
        elif utf8(f"{found.image}{found.mask}") != f"{found.image}{found.mask}":
            findings.append(Finding(utf8(_name(found.image, root)), "has a name that is not UTF-8", "rename it"))
        else:
            pairs.append(found._replace(subject=f"{name}:{found.subject}"))
    count = Counter(pair.mask for pair in pairs)
    for pair in [pair for pair in pairs if count[pair.mask] > 1]:
        reason = f"shares its mask {_name(pair.mask, root)} with another image"
        findings.append(Finding(_name(pair.image, root), reason, "give each image a mask of its own"))
    pairs = [pair for pair in pairs if count[pair.mask] == 1]
    if not pairs:
        sought = f" (images: {dataset.images}, masks: {dataset.masks})" if dataset.layout == "plain" else ""
        settings = "`images:`, `masks:` and `person:`" if dataset.person else "`images:` and `masks:`"
        mend = f"correct {settings} in the config" if sought else "compare with data/README.md"
        findings.append(Finding(".", f"holds no pair in the layout {dataset.layout}{sought}", mend))
    elif dataset.domain == "real" and (nameless := _nameless(dataset, pairs)) > 1:
        reason = f"counts each of {nameless:,} images as a person of its own"
        mend = "none if it is so; else set `person:`, or give each person a folder: intervals are too narrow else"
        findings.append(Finding(".", reason, mend, used=True))
    return pairs, findings


def in_short(findings: list[Finding]) -> str:
    """What is wrong with a whole dataset, then with most of its files."""
    words = [f"{each.reason}; {each.mend}" for each in findings if each.file == "."]
    if files := [each for each in findings if each.file != "."]:
        commonest = Counter(each.reason for each in files).most_common(1)[0][0]
        same = [each for each in files if each.reason == commonest]
        words.append(f"{len(same):,} of {len(files):,} files, such as {same[0].file}: {commonest}; {same[0].mend}")
    return "; ".join(words)


def _nameless(dataset: Dataset, pairs: list[Pair]) -> int:
    """How many images lie where nothing says whose they are."""
    if dataset.layout != "plain" or dataset.person:
        return 0
    base = _fixed(dataset.folder, dataset.images)
    return sum(pair.image.parent == base for pair in pairs)


def syncroi(root: Path) -> PairsAndFindings:
    """The SSBC kit: [Synthetic_SIP/]{Training,Validation}/{Images,Masks}/<same name>.

    The real kit (10,000 + 1,000 eyes without identity) is grouped by its two generators, the first half of each part
    and the second; in any other count every image is a subject of its own."""
    kits = [root / kit for kit in ("Synthetic_SIP", "Synthetic_Sclera") if (root / kit).is_dir()]
    base = kits[0] if kits else root
    files = {part: sorted(visible_files(base / part / "Images"), key=_natural) for part in ("Training", "Validation")}
    is_kit = [len(images) for images in files.values()] == [10_000, 1_000]
    for part, images in files.items():
        masks = _by_stem(base / part / "Masks")
        for index, image in enumerate(images):
            half = "caucasian" if index < len(images) // 2 else "asian"
            subject = half if is_kit else f"{part}-{image.stem}"
            yield from _pair(image, masks.get(image.stem, []), root, subject, part=part)
        yield from _strays(root, masks, {image.stem for image in images})


def sbvpi(root: Path) -> PairsAndFindings:
    """SBVPI: <id>/<id><L|R>_<gaze>_<n>.jpg with <same>_sclera.png (and iris, pupil, ...) beside it."""
    images, masks = [], defaultdict(list)
    for file in visible_files(root):
        stem, _, kind = file.stem.rpartition("_")
        if kind == "sclera":
            masks[stem].append(file)
        elif kind not in SBVPI_MASKS:
            images.append(file)
    for image in images:
        match = SBVPI_NAME.fullmatch(image.stem)
        if match is None:
            yield _misnamed(image, root, "<id><L|R>_<l|r|s|u>_<n>")
            continue
        beside = [mask for mask in masks.get(image.stem, []) if mask.parent == image.parent]
        yield from _pair(image, beside, root, match[1], match[2], match[3])
    yield from _strays(root, masks, {image.stem for image in images})


def masd(root: Path) -> PairsAndFindings:
    """MASD with SBVPI's names: Images/[<id>/]<id><L|R>_<gaze>_<n>.jpg, the mask likewise below Masks/, or beside it."""
    if subfolder(root, "Masks") is None:
        yield from sbvpi(root)
        return
    yield from _two_trees(root, SBVPI_NAME, "<id><L|R>_<gaze>_<n>")


def mobius(root: Path) -> PairsAndFindings:
    """MOBIUS: Images/<id>/<id>_<phone><light>_<eye><gaze>_<n|bad>.jpg, Masks/<id>/<same>.png. Most images have none."""
    n_unlabelled = 0
    for found in _two_trees(root, MOBIUS_NAME, "<id>_<phone><light>_<eye><gaze>_<n>"):
        if isinstance(found, Finding) and found.reason == NO_MASK:
            n_unlabelled += 1
        elif isinstance(found, Pair) and MOBIUS_NAME.fullmatch(found.image.stem)[4] == "bad":
            yield Finding(_name(found.image, root), "is marked bad by its makers", "leave it out")
        elif isinstance(found, Pair):
            yield found._replace(device=f"phone {MOBIUS_PHONE.search(found.image.stem)[1]}")
        else:
            yield found
    if n_unlabelled:
        yield Finding("Images", f"holds {n_unlabelled:,} images without a mask", "none: only some are annotated")


def plain(
    root: Path, images: str = "Images/**/*", masks: str = "Masks/**/{stem}.*", person: str | None = None
) -> PairsAndFindings:
    """Globs below root. The person is what the group of `person` finds in an image's path below the folders that
    `images` names; without it, the first subfolder there; else each image is a person of its own."""
    folder, _, name = masks.rpartition("/")
    if name.count("{stem}") != 1 or "{stem}" in folder:
        raise ValueError(f"masks: {masks!r} must hold {{stem}} once, in the file's name")
    before, after = (fnmatch.translate(piece)[4:-3] for piece in name.split("{stem}"))  # without (?s: and )\\Z
    shape = re.compile(f"{before}(.*){after}", re.DOTALL)
    by_stem = defaultdict(list)
    for file in _glob(root, masks.replace("{stem}", "*")):
        by_stem[shape.fullmatch(file.name)[1]].append(file)
    files = _glob(root, images)
    stems = {file.stem for file in files}
    taken = {mask for stem in stems & by_stem.keys() for mask in by_stem[stem]}
    files = [file for file in files if file not in taken]
    base, mask_base = _fixed(root, images), _fixed(root, masks)
    for image in files:
        below = image.relative_to(base).parts[:-1]
        who = re.search(person, _name(image, base)) if person else None
        if person and not (who and who[1]):
            yield Finding(_name(image, root), f"names no person by {person}", "rename it, or correct `person:`")
            continue
        found = _beside(image, base, by_stem.get(image.stem, []), mask_base)
        subject = who[1] if who else below[0] if below else image.stem
        yield from _pair(image, found, root, subject, sought=masks.replace("{stem}", image.stem))
    rest = {stem: [mask for mask in found if mask not in files] for stem, found in by_stem.items()}
    yield from _strays(root, rest, stems)


def _two_trees(root: Path, name: re.Pattern | None = None, shape: str = "") -> PairsAndFindings:
    """Images/ and Masks/ with the same stems, flat or nested; subject from the name, else from the folder."""
    folder, mask_folder = subfolder(root, "Images"), subfolder(root, "Masks")
    masks = _by_stem(mask_folder)
    seen = set()
    for image in visible_files(folder):
        seen.add(image.stem)
        match = name.fullmatch(image.stem) if name else None
        if name and match is None:
            yield _misnamed(image, root, shape)
            continue
        nameless = image.parent.name if image.parent != folder else image.stem.split("_")[0]
        who = match.groups()[:3] if match else (nameless,)
        found = masks.get(image.stem) or masks.get(f"{image.stem}_sclera", [])
        yield from _pair(image, _beside(image, folder, found, mask_folder), root, *who)
    yield from _strays(root, masks, seen)


READERS: dict[str, Callable[[Path], PairsAndFindings]] = {
    "syncroi": syncroi,
    "sbvpi": sbvpi,
    "masd": masd,
    "mobius": mobius,
    "smd": _two_trees,  # Images/<id>/<file>, Masks/<id>/<same stem>, or flat as <id>_<file>
    "sld": partial(_two_trees, name=SLD_NAME, shape="<id> (<n>)"),  # Images/<id> (<n>).jpg, Masks/<same stem>
}


def _beside(image: Path, folder: Path, masks: list[Path], mask_folder: Path) -> list[Path]:
    """Of the masks with the image's stem, those in the same subfolder; else any, where one of the two trees is flat.

    Nested trees may repeat a stem for every subject."""
    where = image.parent.relative_to(folder)
    same = [mask for mask in masks if mask.parent.relative_to(mask_folder) == where]
    return same or [mask for mask in masks if where == Path() or mask.parent == mask_folder]


def _pair(
    image: Path,
    masks: list[Path],
    root: Path,
    subject: str,
    eye: str = "",
    gaze: str = "",
    part: str = "",
    sought: str = "its name in the layout",
) -> PairsAndFindings:
    """The pair, or the finding that there is no single mask for the image."""
    if image.suffix.lower() not in FORMATS:
        yield _not_an_image(image, root)
        return
    if len(masks) == 1:
        yield Pair(image, masks[0], subject, eye, gaze, part)
    elif masks:
        names = ", ".join(_name(mask, root) for mask in masks[:3])
        yield Finding(_name(image, root), f"has {len(masks)} masks ({names})", "keep one")
    else:
        yield Finding(_name(image, root), NO_MASK, f"add it as {sought}, or leave the image out")


def _strays(root: Path, masks: dict[str, list[Path]], stems: set[str]) -> Iterator[Finding]:
    """Masks whose image is missing; a mask of one part (x_iris) goes with its image or with x_sclera."""
    for stem in sorted(masks):
        base, _, kind = stem.rpartition("_")
        owners = {stem, base, f"{base}_sclera"} if kind in SBVPI_MASKS else {stem}
        if owners & stems or (kind in SBVPI_MASKS[1:] and owners - {stem} & masks.keys()):
            continue
        for mask in masks[stem]:
            if mask.suffix.lower() in FORMATS:
                mend = "add its image (in `plain`: where `images:` finds it), or remove the mask"
                yield Finding(_name(mask, root), "is a mask without an image", mend)
            else:
                yield _not_an_image(mask, root)


def _misnamed(file: Path, root: Path, shape: str) -> Finding:
    if file.suffix.lower() not in FORMATS:
        return _not_an_image(file, root)
    return Finding(_name(file, root), "has a name that does not tell subject and eye", f"rename it to {shape}")


def _not_an_image(file: Path, root: Path) -> Finding:
    return Finding(_name(file, root), "is not named like an image", f"use one of {', '.join(FORMATS)}, or remove it")


def visible_files(folder: Path | None) -> list[Path]:
    """Visible files below a folder, sorted; none where there is no folder."""
    if folder is None or not folder.is_dir():
        return []
    return sorted(file for file in folder.rglob("*") if not file.is_dir() and _visible(file, folder))


def _glob(root: Path, pattern: str) -> list[Path]:
    return sorted(file for file in root.glob(pattern) if not file.is_dir() and _visible(file, root))


def _fixed(root: Path, pattern: str) -> Path:
    """The folder of a glob above its first wildcard."""
    folders = itertools.takewhile(lambda name: not set(name) & set("*?[{"), pattern.split("/")[:-1])
    return root.joinpath(*folders)


def _by_stem(folder: Path | None) -> dict[str, list[Path]]:
    masks = defaultdict(list)
    for file in visible_files(folder):
        masks[file.stem].append(file)
    return masks


def _visible(file: Path, root: Path) -> bool:
    """False for documents and for what file managers leave behind (.DS_Store, ._7L_s_1.jpg, __MACOSX/)."""
    parts = file.relative_to(root).parts
    if file.suffix.lower() in DOCUMENTS or file.name in {"Thumbs.db", "desktop.ini"}:
        return False
    return not any(part.startswith(".") or part == "__MACOSX" for part in parts)


def subfolder(root: Path, name: str) -> Path | None:
    """The subfolder of that name in any case."""
    return next((f for f in sorted(root.iterdir()) if f.is_dir() and f.name.lower() == name.lower()), None)


def _name(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()


def _natural(file: Path) -> list:
    """Sort key that counts: 2 before 10."""
    return [int(piece) if piece.isdecimal() else piece for piece in re.split(r"(\d+)", file.stem)]
