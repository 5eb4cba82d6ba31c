"""Datasets of a few drawn eyes, written to disk in each layout, and a config around them."""

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from cgdseg import paths
from cgdseg.config import Config
from cgdseg.data.stored import FINDINGS, read_csv

SIP = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)], np.uint8)
GREEN_SCLERA = {"sclera": (0, 255, 0), "iris": (0, 0, 255), "pupil": (255, 0, 0)}


def draw_eye(seed: int, size: tuple[int, int] = (48, 64)) -> tuple[np.ndarray, np.ndarray]:
    """An image (H, W, 3) and its labels (H, W): ellipse, iris, pupil on noise."""
    rng = np.random.default_rng(seed)
    height, width = size
    labels = np.zeros(size, np.uint8)
    centre = (width // 2 + int(rng.integers(-4, 5)), height // 2)
    cv2.ellipse(labels, centre, (width // 3, height // 4), 0, 0, 360, 1, -1)
    cv2.circle(labels, centre, height // 6, 2, -1)
    cv2.circle(labels, centre, height // 14, 3, -1)
    palette = rng.integers(0, 256, (4, 3))
    image = np.clip(palette[labels] + rng.normal(0, 12, (*size, 3)), 0, 255).astype(np.uint8)
    return image, labels


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def save_pair(image_path, mask_path, seed=0, size=(48, 64), coding="white"):
    """Write one drawn eye; coding: white (sclera only), sip (colours)."""
    image, labels = draw_eye(seed, size)
    save(image_path, image)
    save(mask_path, SIP[labels] if coding == "sip" else np.where(labels == 1, 255, 0).astype(np.uint8))
    return image, labels


def write_syncroi(root, n_train=10, n_val=4):
    for part, count in (("Training", n_train), ("Validation", n_val)):
        for i in range(count):
            images, masks = (root / "Synthetic_SIP" / part / kind / f"{i}.png" for kind in ("Images", "Masks"))
            save_pair(images, masks, seed=1000 * (part == "Validation") + i, coding="sip")


def write_sbvpi(root, subjects=(1, 2, 3, 4, 5, 6)):
    """Two eyes and two gazes a person; RGBA sclera masks; person 1 has iris and pupil masks; other parts lie beside."""
    for subject in subjects:
        for k, (eye, gaze) in enumerate((eye, gaze) for eye in "LR" for gaze in "ls"):
            image, labels = draw_eye(seed=100 * subject + k)
            stem = root / str(subject) / f"{subject}{eye}_{gaze}_1"
            save(stem.with_name(f"{stem.name}.jpg"), image)
            parts = {"sclera": 1} | ({"iris": 2, "pupil": 3} if subject == 1 else {})
            for part, label in parts.items():
                inside = (labels >= 2) if part == "iris" else labels == label  # SBVPI's iris mask is a filled disc
                mask = np.dstack(
                    [np.where(inside, 255, 0).astype(np.uint8)] * 3 + [np.full(labels.shape, 255, np.uint8)]
                )
                save(stem.with_name(f"{stem.name}_{part}.png"), mask)
            save(stem.with_name(f"{stem.name}_vessels.png"), np.zeros((48, 64, 4), np.uint8))


def write_masd(root, subjects=range(101, 107), nested=False, suffix=""):
    for subject in subjects:
        for k, eye in enumerate("LR"):
            folder = f"{subject}/" if nested else ""
            stem = f"{subject}{eye}_s_1"
            image, mask = root / "Images" / f"{folder}{stem}.jpg", root / "Masks" / f"{folder}{stem}{suffix}.png"
            save_pair(image, mask, seed=10 * subject + k)


def make_config(root, datasets, conditions, **settings) -> Config:
    """A config of datasets below root: name -> settings of config.Dataset without the root."""
    where = {name: {"root": root / name, **more} for name, more in datasets.items()}
    return Config(name="tiny", datasets=where, conditions=conditions, systems={"unet": {"kind": "unet"}}, **settings)


def three_domains(root, **settings) -> Config:
    """SynCROI, MASD and SBVPI on disk below root, with the slides' two conditions."""
    write_syncroi(root / "SynCROI")
    write_masd(root / "MASD")
    write_sbvpi(root / "SBVPI")
    datasets = {
        "SynCROI": {"layout": "syncroi", "domain": "synthetic"},
        "MASD": {"layout": "masd", "domain": "real"},
        "SBVPI": {"layout": "sbvpi", "domain": "real"},
    }
    conditions = {"synthetic": ["SynCROI"], "mixed": ["SynCROI", "MASD", "SBVPI"]}
    return make_config(root, datasets, conditions, **settings)


def write_drawn_eyes(folder, n: int, shift: int = 0) -> None:
    """A white ellipse on skin with a dark disc in it: Images/<i>.png (60, 80) and Masks/<i>.png, 255 = sclera."""
    rng = np.random.default_rng(shift)
    for sub in ("Images", "Masks"):
        (folder / sub).mkdir(parents=True)
    for i in range(n):
        centre = (int(rng.integers(30, 50)), int(rng.integers(24, 36)))
        mask = cv2.ellipse(np.zeros((60, 80), np.uint8), centre, (24, 12), 0, 0, 360, 255, -1)
        cv2.circle(mask, centre, 8, 0, -1)
        image = np.full((60, 80, 3), (150 - shift, 120, 100), np.uint8)
        cv2.ellipse(image, centre, (24, 12), 0, 0, 360, (230 - shift, 230, 235), -1)
        cv2.circle(image, centre, 8, (40, 60, 90), -1)
        noise = rng.normal(0, 4, image.shape)
        cv2.imwrite(str(folder / "Images" / f"{i}.png"), np.clip(image + noise, 0, 255).astype(np.uint8)[..., ::-1])
        cv2.imwrite(str(folder / "Masks" / f"{i}.png"), mask)


def load_findings(cfg) -> pd.DataFrame:
    """The findings that notebook 1 wrote."""
    return read_csv(paths.findings_csv(cfg.name), FINDINGS[:-1])
