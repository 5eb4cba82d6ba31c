"""What each phrase gives each patch of an eye, for phrases of one's own choice.

pick(settings, model, pixels) -> a widget, or None where the notebook runs by itself."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from cgdseg import loops
from cgdseg.config import CGDSeg
from cgdseg.data.cache import PixelCache
from cgdseg.eyes.phrases import NAMES
from cgdseg.figures.widgets import parts
from cgdseg.figures.widgets.parts import MenuPicture, Widget
from cgdseg.models.layers import to_batch
from cgdseg.models.small_clip import found_encoder, phrase_maps
from cgdseg.models.text import token_names
from cgdseg.studies.anatomy.grounding import weights_of

ENCODER = "our text-image encoder"
ASKABLE = {"every phrase a key": "prompts", "every token a key": "tokens", "similarity to each phrase": "similarity"}
UNTRAINED = "The projection between text and patches is untrained: that maps differ is real, how they differ is chance."
ALONE = "A single key gets 1 everywhere: a softmax over one number leaves nothing to choose."
SAYS = {
    "random": "The config takes random text: each phrase is a fixed direction that knows nothing of what it says.",
    "rendered": "The texts come from a small encoder of our own, pretrained on rendered eyes.",
}


def pick(settings: CGDSeg, model: nn.Module, pixels: PixelCache) -> Widget | None:
    """A menu of eyes and one of forms, a field of phrases with others to add, and a map a key.

    The forms are those with several keys; where the config has an encoder of our own, also that by itself."""
    if not loops.someone_is_there():
        return None
    import ipywidgets

    text = settings.text
    known = list(dict.fromkeys([*text.phrases, *text.prompts, *(f"{part} of the eye" for part in NAMES)]))
    eye = parts.menu("eye", parts.some(pixels.image_ids))
    form = parts.menu("form", ([ENCODER] if text.source == "rendered" else []) + list(ASKABLE))
    # no list to mark several in: JupyterLab takes its arrow keys for itself
    look = {"layout": {"width": "27em"}, "style": {"description_width": "initial"}, "continuous_update": False}
    lines = ipywidgets.Textarea("\n".join(known[:4]), description="phrases", rows=6, **look)
    own = ipywidgets.Combobox(options=known, description="add", placeholder="another one, then Enter", **look)
    words, picture = parts.page(), parts.page()

    def add(_change=None) -> None:
        if own.value.strip():
            lines.value = "\n".join(phrases_of(f"{lines.value}\n{own.value}"))
            own.value = ""

    def show(_change=None) -> None:
        phrases = phrases_of(lines.value)
        words.value = parts.words(says(text.source, form.value, len(phrases)))
        if not phrases:
            picture.value = parts.words("Write a phrase, or several on a line each, and leave the field.")
            return
        image = np.array(pixels.image(eye.value))
        names, maps = maps_of(settings, model, image, form.value, phrases)
        picture.value = maps_html(image, names, maps)

    for control in (eye, form, lines):
        control.observe(show, names="value")
    own.observe(add, names="value")
    show()
    return ipywidgets.VBox([parts.row(eye, form), parts.row(lines, own), words, picture])


def phrases_of(lines: str) -> list[str]:
    """The phrases of a field, a line each, without blanks and repetitions."""
    return list(dict.fromkeys(filter(None, (" ".join(line.split()) for line in lines.splitlines()))))


def says(source: str, form: str, n_phrases: int) -> str:
    """What the maps can and cannot mean, in words."""
    if form == ENCODER:
        return "Cosine of each patch with each phrase, as an encoder of our own has learned it on rendered eyes."
    words = f"{SAYS.get(source, 'The texts come from the encoder that the config names.')} {UNTRAINED}"
    return f"{words} {ALONE}" if n_phrases == 1 and ASKABLE[form] != "tokens" else words


@torch.no_grad()
def maps_of(
    settings: CGDSeg, model: nn.Module, image: np.ndarray, form: str, phrases: Sequence[str]
) -> tuple[list[str], np.ndarray]:
    """The keys that phrases become in a form of ASKABLE or for ENCODER, and their maps (K, h, w) on an image (H, W, 3).

    New parts are drawn anew for each form, always the same ones."""
    batch, phrases = to_batch([image]), tuple(phrases)
    if form == ENCODER:
        return list(phrases), phrase_maps(found_encoder(settings.text.pretraining), batch, list(phrases))[0].numpy()
    text = settings.text.model_copy(update={"prompts": phrases, "phrases": phrases})
    names = token_names(text) if ASKABLE[form] == "tokens" else list(phrases)
    patches: Tensor = model.eval().backbone(batch)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return names, weights_of(settings.model_copy(update={"text": text}), ASKABLE[form], patches)


def maps_html(image: np.ndarray, names: Sequence[str], maps: np.ndarray) -> str:
    """The image and a picture a key, each from its least to its most; one that is the same everywhere is black."""
    shown = [MenuPicture("the image", image, "the eye")]
    for name, weights in zip(names, maps, strict=True):
        span = f"{weights.min():.3f} to {weights.max():.3f}"
        shown.append(MenuPicture(f"{name}: {span}", weights, f"what each patch gets from “{name}”: {span}"))
    return parts.pictures(shown, height=130)
