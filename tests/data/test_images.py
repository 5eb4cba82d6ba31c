"""Image and mask files: what is read, what is read with a note, what is refused by name."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image
from tiny_data import GREEN_SCLERA, SIP, draw_eye, save

from cgdseg.data import images
from cgdseg.data.images import BadFile, load_image, load_labels, read_image, read_labels, resize_image, resize_labels

IMAGE, LABELS = draw_eye(seed=3)
WHITE = np.where(LABELS == 1, 255, 0).astype(np.uint8)
SCLERA = (LABELS == 1).astype(np.uint8)


def refused(path, *words, read=read_image):
    """The error names the file, and says the words."""
    with pytest.raises(BadFile) as caught:
        read(path)
    assert path.name in str(caught.value) and caught.value.mend
    for word in words:
        assert word in str(caught.value)


# images


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".PNG"])
def test_lossless_images_come_back_exactly(tmp_path, suffix):
    assert np.array_equal(read_image(save(tmp_path / f"eye{suffix}", IMAGE)), IMAGE)


def test_rgba_image_loses_only_its_alpha(tmp_path):
    rgba = np.dstack([IMAGE, np.full(IMAGE.shape[:2], 255, np.uint8)])
    loaded = load_image(save(tmp_path / "eye.png", rgba))
    assert np.array_equal(loaded.pixels, IMAGE) and not loaded.notes
    rgba[:4, :4, 3] = 0
    assert "transparent" in load_image(save(tmp_path / "holes.png", rgba)).notes[0][0]


def test_palette_image_becomes_its_colours(tmp_path):
    paletted = Image.fromarray(IMAGE).quantize(32)
    paletted.save(tmp_path / "eye.png")
    assert np.array_equal(read_image(tmp_path / "eye.png"), np.array(paletted.convert("RGB")))
    paletted.save(tmp_path / "clear.png", transparency=bytes([0] * 32))
    assert load_image(tmp_path / "clear.png").notes


def test_grey_image_is_noted(tmp_path):
    loaded = load_image(save(tmp_path / "eye.png", IMAGE[..., 0]))
    assert loaded.pixels.shape == IMAGE.shape and "grey" in loaded.notes[0][0]


def test_exif_rotation_is_applied_and_noted(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it upright
    loaded = load_image(save(tmp_path / "eye.png", np.ascontiguousarray(np.rot90(IMAGE)), exif=exif))
    assert np.array_equal(loaded.pixels, IMAGE) and "EXIF" in loaded.notes[0][0]
    exif[0x0112] = 3  # a half turn leaves the size: only the note tells
    assert "EXIF" in load_image(save(tmp_path / "half.png", IMAGE, exif=exif)).notes[0][0]


def test_16_bit_images(tmp_path):
    grey = tmp_path / "grey.png"
    Image.fromarray(IMAGE[..., 0].astype(np.uint16) * 257).save(grey)
    refused(grey, "I;16", "8 bits")
    colour = tmp_path / "colour.png"
    cv2.imwrite(str(colour), IMAGE[..., ::-1].astype(np.uint16) * 257)
    loaded = load_image(colour)
    assert np.array_equal(loaded.pixels, IMAGE) and "16 bits" in loaded.notes[0][0]


def test_colour_spaces_that_would_change_the_colours_are_refused(tmp_path):
    Image.fromarray(IMAGE).convert("CMYK").save(tmp_path / "print.jpg")
    refused(tmp_path / "print.jpg", "CMYK")
    Image.fromarray(np.full((48, 64), np.nan, np.float32)).save(tmp_path / "nan.tif")
    refused(tmp_path / "nan.tif", "mode F")


def test_files_that_are_no_images(tmp_path):
    for name, content, word in [
        ("zero.png", b"", "zero bytes"),
        ("text.png", b"not a picture", "not an image"),
        ("eye.gif", b"GIF89a", "not named like an image"),
        ("pickle.png", b"\x80\x04K\x01.", "not an image"),
    ]:
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, word)
    refused(tmp_path / "absent.png", "not a file")
    (tmp_path / "folder.png").mkdir()
    refused(tmp_path / "folder.png", "not a file")


def test_wrong_extension_is_refused(tmp_path):
    save(tmp_path / "eye.jpg", IMAGE).rename(tmp_path / "eye.png")
    refused(tmp_path / "eye.png", "JPEG", "extension")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp"])
def test_no_truncation_is_silent(tmp_path, suffix):
    whole = save(tmp_path / f"whole{suffix}", IMAGE).read_bytes()
    expected = read_image(tmp_path / f"whole{suffix}")
    for share in np.linspace(0.02, 0.98, 25):
        path = tmp_path / f"cut{suffix}"
        path.write_bytes(whole[: int(len(whole) * share)])
        try:
            assert np.array_equal(read_image(path), expected)  # only what carries no pixels may be missing
        except BadFile as bad:
            assert bad.path == path


def test_flipped_bytes_of_a_png_are_noticed(tmp_path):
    whole = bytearray(save(tmp_path / "eye.png", IMAGE).read_bytes())
    for position in np.random.default_rng(0).integers(0, len(whole), 60):
        mutant = bytearray(whole)
        mutant[position] ^= 0x55
        (tmp_path / "mutant.png").write_bytes(mutant)
        with pytest.raises(BadFile):
            read_image(tmp_path / "mutant.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp", ".webp"])
def test_whatever_the_bytes_only_bad_file_is_raised(tmp_path, suffix):
    whole = save(tmp_path / f"eye{suffix}", IMAGE).read_bytes()
    rng = np.random.default_rng(1)
    n_bad = 0
    for _ in range(80):
        mutant = bytearray(whole)
        for position in rng.integers(0, min(len(whole), rng.choice([60, len(whole)])), 4):
            mutant[position] = rng.integers(0, 256)
        path = tmp_path / f"mutant{suffix}"
        path.write_bytes(mutant)
        for read in (read_image, read_labels):
            try:
                assert read(path).dtype == np.uint8
            except BadFile as bad:
                n_bad += 1
                assert bad.path == path and bad.reason and bad.mend
    assert n_bad > 80  # as masks, all of them


def test_bombs_are_refused_by_their_header(tmp_path):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for side in (10_000, 60_000):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        data = chunk(b"IDAT", zlib.compress(b"\0" * 100))
        (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b""))
        refused(tmp_path / "bomb.png", "pixels")


def test_too_small_and_many_pictures_are_refused(tmp_path):
    refused(save(tmp_path / "dot.png", IMAGE[:2, :2]), "too small")
    frames = [Image.fromarray(IMAGE), Image.fromarray(IMAGE[::-1])]
    frames[0].save(tmp_path / "film.tif", save_all=True, append_images=frames[1:])
    refused(tmp_path / "film.tif", "2 pictures")


def test_bad_file_survives_the_way_back_from_a_worker():
    import pickle

    error = pickle.loads(pickle.dumps(BadFile("a.png", "is empty", "copy it")))
    assert (error.path, error.reason, str(error)) == ("a.png", "is empty", "a.png is empty: copy it")


# masks


@pytest.mark.parametrize(
    "mask",
    [
        WHITE,
        SCLERA,  # {0, 1}
        np.dstack([WHITE] * 3),
        np.dstack([WHITE] * 3 + [np.full(WHITE.shape, 255, np.uint8)]),  # SBVPI's RGBA
        Image.fromarray(WHITE).convert("1"),
        Image.fromarray(WHITE).convert("P"),
        WHITE.astype(np.uint16) * 257,
        SCLERA.astype(np.uint16),
        SIP[SCLERA],  # SMD's red-only masks
    ],
    ids=["0/255", "0/1", "RGB", "RGBA", "1-bit", "palette", "16-bit", "16-bit 0/1", "red only"],
)
def test_every_coding_of_a_sclera_mask_reads_the_same(tmp_path, mask):
    path = tmp_path / "mask.png"
    (mask if isinstance(mask, Image.Image) else Image.fromarray(mask)).save(path)
    loaded = load_labels(path)
    assert np.array_equal(loaded.pixels, SCLERA) and loaded.pixels.dtype == np.uint8 and not loaded.notes


def test_colour_coded_masks(tmp_path):
    sip = save(tmp_path / "sip.png", SIP[LABELS])
    assert np.array_equal(read_labels(sip), LABELS)
    table = np.array([(0, 0, 0), *GREEN_SCLERA.values()], np.uint8)
    green = save(tmp_path / "green.png", table[LABELS])
    assert np.array_equal(read_labels(green, GREEN_SCLERA), LABELS)
    Image.fromarray(SIP[LABELS]).quantize(4).save(tmp_path / "palette.png")
    assert np.array_equal(read_labels(tmp_path / "palette.png"), LABELS)
    refused(green, "unknown colours", read=lambda p: read_labels(p, {"sclera": (0, 255, 0)}))


def test_a_declared_table_also_names_grey_classes(tmp_path):
    mask = save(tmp_path / "classes.png", LABELS)
    refused(mask, "grey", read=read_labels)  # 1, 2, 3 mean different parts to different people
    table = {"iris": (2, 2, 2), "pupil": (3, 3, 3), "sclera": (1, 1, 1)}
    assert np.array_equal(read_labels(mask, table), LABELS)


def test_unknown_colour_is_named(tmp_path):
    mask = SIP[LABELS].copy()
    mask[5:9, 5:9] = (17, 34, 51)
    refused(save(tmp_path / "mask.png", mask), "(17, 34, 51)", "16 pixels", "colours", read=read_labels)


def test_soft_edges_are_cut_and_noted(tmp_path):
    soft = cv2.GaussianBlur(WHITE, (3, 3), 0)
    loaded = load_labels(save(tmp_path / "soft.png", soft))
    assert np.array_equal(loaded.pixels, soft >= 128) and "soft edges" in loaded.notes[0][0]
    lossy = load_labels(save(tmp_path / "mask.jpg", WHITE, quality=90))
    assert (lossy.pixels != SCLERA).mean() < 0.01 and lossy.notes
    colours = load_labels(save(tmp_path / "sip.jpg", SIP[LABELS], quality=95, subsampling=0))
    assert (colours.pixels != LABELS).mean() < 0.03 and "lossily" in colours.notes[0][0]


def test_grey_areas_are_no_mask(tmp_path):
    for grey in (76, 128, 200):  # 76 is a red mask turned grey
        areas = np.where(LABELS == 2, grey, WHITE).astype(np.uint8)
        refused(save(tmp_path / "mask.png", areas), str(grey), read=read_labels)
    refused(save(tmp_path / "dim.png", (WHITE // 2)), "127", read=read_labels)
    refused(save(tmp_path / "photo.png", IMAGE[..., 0]), "grey values", read=read_labels)
    refused(save(tmp_path / "photo.jpg", IMAGE), "unknown colours", read=read_labels)
    ignore = np.where(LABELS == 2, 255, SCLERA).astype(np.uint8)  # 0, 1 and 255 = "ignore"
    refused(save(tmp_path / "ignore.png", ignore), "grey", read=read_labels)


def test_transparent_background(tmp_path):
    mask = np.dstack([np.full((*WHITE.shape, 3), 255, np.uint8), WHITE])
    loaded = load_labels(save(tmp_path / "mask.png", mask))
    assert np.array_equal(loaded.pixels, SCLERA) and "transparent" in loaded.notes[0][0]


def test_one_file_per_part(tmp_path):
    mask = save(tmp_path / "1L_s_1_sclera.png", WHITE)
    alone = load_labels(mask).sha256
    save(tmp_path / "1L_s_1_iris.png", np.where(LABELS >= 2, 255, 0).astype(np.uint8))
    save(tmp_path / "1L_s_1_pupil.png", np.where(LABELS == 3, 255, 0).astype(np.uint8))
    loaded = load_labels(mask)
    assert np.array_equal(loaded.pixels, LABELS) and loaded.sha256 != alone
    save(tmp_path / "1L_s_1_pupil.png", WHITE[:20])
    with pytest.raises(BadFile, match="1L_s_1_pupil.png"):
        read_labels(mask)


# sizes


def test_resizing_keeps_classes_and_place():
    labels = resize_labels(LABELS, (96, 128))
    assert set(np.unique(labels)) == {0, 1, 2, 3}
    assert np.array_equal(labels[::2, ::2], LABELS)  # doubled: every pixel becomes a 2x2 block
    back = resize_labels(labels, (48, 64))
    assert np.array_equal(back, LABELS)
    third = draw_eye(seed=3, size=(48, 63))[1]
    assert np.array_equal(resize_labels(third, (16, 21)), third[1::3, 1::3])  # centres, not corners
    assert resize_image(IMAGE, (24, 32)).shape == (24, 32, 3)
    assert np.allclose(resize_image(IMAGE, (24, 32))[0, 0], IMAGE[:2, :2].mean(axis=(0, 1)), atol=1)


def test_reading_ignores_what_the_process_was_told_about_truncation(tmp_path, monkeypatch):
    data = io.BytesIO()
    Image.fromarray(IMAGE).save(data, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(data.getvalue()[:-200])
    refused(tmp_path / "cut.jpg", "damaged")
    assert images.MAX_PIXELS < Image.MAX_IMAGE_PIXELS  # ours speaks first, with a mend
