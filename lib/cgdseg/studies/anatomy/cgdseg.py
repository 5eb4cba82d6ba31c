"""CGDSeg described: the form a config builds, and the paper's size counted by the slides' parts."""

import pandas as pd

from cgdseg.config import CGDSeg, Config, load_config, systems
from cgdseg.models.cgdseg import CLIP_TEXT_TOWER
from cgdseg.text import did_you_mean

GROUNDINGS = {
    "anchor": "the prompts' mean is the only key of the cross-attention",
    "prompts": "every prompt is a key of the cross-attention",
    "tokens": "every token of the prompts is a key of the cross-attention",
    "similarity": "maps of how much each patch resembles each phrase go into the pyramid",
    "bias": "a learned vector stands where the text's answer would be",
    "random": "the only key is the mean of random directions",
    "none": "no text, and nothing in its place",
}
POSITIONS = {
    "antialias": "bicubic with antialiasing, as in timm",
    "bicubic": "bicubic without antialiasing, as in transformers",
}


def shown_cgdseg(cfg: Config, name: str = "") -> tuple[str, CGDSeg]:
    """The CGDSeg of a config that notebook 2 takes apart: the one called `name`, else the first.

    Where the config has none it is that of the smoke config, at the input size of the config's first system."""
    known = cfg.cgdsegs()
    if name and name not in known:
        raise ValueError(f"config {cfg.name} has no CGDSeg called {name}{did_you_mean(name, known)}")
    if known:
        name = name or next(iter(known))
        return name, known[name]
    smoke, size = next(iter(load_config("smoke").cgdsegs().values())), next(iter(cfg.systems.values())).input_size
    return "cgdseg of smoke", smoke.model_copy(update={"input_size": size})


def describe(settings: systems.CGDSeg) -> str:
    """What this form of CGDSeg has in place of the paper's parts, in a sentence a part."""
    backbone, text = settings.backbone, settings.text
    origin = f"`{backbone.source}`" if backbone.source != "random" else "a small DINOv2 of its own, from random weights"
    learning = {"lora": "LoRA adapters learn", "full": "all of it learns", "frozen": "nothing of it learns"}
    words = [f"The backbone is {origin} with {backbone.n_layers} blocks; {learning[backbone.tuning]}."]
    words.append(f"Its position embedding is resized to the grid of patches, {POSITIONS[backbone.positions]}.")
    if backbone.normalise == "image":
        words.append("Each image is normalised by its own mean and deviation; the slides take those of ImageNet.")
    words.append(f"Grounding `{settings.grounding}`: {GROUNDINGS[settings.grounding]}.")
    if settings.grounding not in ("bias", "none"):
        known = settings.grounding != "random" and text.source != "random"
        encoder = "a small CLIP of our own, pretrained on rendered eyes" if text.source == "rendered" else text.source
        origin = f"encoded by {encoder}" if known else "a fixed random direction each: no language stands behind it"
        words.append(f"Its texts are {origin}.")
    if settings.detail:
        words.append(f"A skip of {settings.detail} channels leads from the pixels into the last decoder stage.")
        words.append("The slides have no such skip.")
    return " ".join(words)


def paper_size() -> systems.CGDSeg:
    """The slides' CGDSeg with random weights: the same shapes and counts without a download."""
    return systems.CGDSeg(backbone={"source": "random"}, text={"source": "random"})


def paper_counts(table: pd.DataFrame) -> dict[str, int]:
    """Parameters by the parts of the slides' budget, from the parameter table of `paper_size()`."""
    counts = table.set_index("part").parameters
    return {
        "DINOv2": int(counts["DINOv2"]),
        "LoRA": int(counts["LoRA"]),
        "CLIP text tower": CLIP_TEXT_TOWER,
        "grounding": int(counts[["text projection", "cross-attention", "norm"]].sum()),
        "pyramid": int(counts["pyramid"]),
        "decoder": int(counts.filter(like="decoder").sum()),
        "head": int(counts["head"]),
        "all trainable": int(table.trainable.sum()),
        "total": int(counts.sum()) + CLIP_TEXT_TOWER,
    }
