"""One eye through the stages of CGDSeg: any eye, any stage, any channel.

walk(image ids, look) -> a widget, or None where the notebook runs by itself. look: image id -> its pixels (H, W, 3)
and what `models.inspect.trace` saw, such as functools.partial(trace_eye, model, pixels)."""

from collections.abc import Callable, Sequence

import numpy as np
from torch import nn

from cgdseg import loops
from cgdseg.data.cache import PixelCache
from cgdseg.figures.stages import energy_picture, stage_features, token_picture
from cgdseg.figures.widgets import parts
from cgdseg.figures.widgets.parts import MenuPicture, Widget
from cgdseg.models.inspect import trace
from cgdseg.models.layers import to_batch

Look = Callable[[str], tuple[np.ndarray, dict]]
AS_COLOURS, LENGTH, CHANNEL = "colours: 3 components", "length of the vector", "one channel"


def walk(eyes: Sequence[str], look: Look, stage: str = "S2 grounded") -> Widget | None:
    """Menus of eye and stage, how to see many channels at once or which one of them, and the picture."""
    if not loops.someone_is_there():
        return None
    import ipywidgets

    eye = parts.menu("eye", parts.some(list(eyes)))
    seen = {eye.value: look(eye.value)}
    name = parts.menu("stage", list(stage_features(seen[eye.value][1])))
    name.value = stage
    view = parts.menu("shown as", [CHANNEL])
    channel = ipywidgets.BoundedIntText(min=0, description="channel", layout={"width": "11em"})
    picture, liked = parts.page(), {"view": AS_COLOURS}

    def features() -> np.ndarray:
        if eye.value not in seen:
            seen[eye.value] = look(eye.value)
        return stage_features(seen[eye.value][1])[name.value]

    def choose(_change=None) -> None:
        n_channels = len(features())
        with parts.quietly(show, view, channel):
            view.options = views(n_channels)
            view.value = liked["view"] if liked["view"] in view.options else CHANNEL
            channel.max = n_channels - 1
        show()

    def show(_change=None) -> None:
        if len(view.options) > 1:  # a stage of one channel is no choice: the next one is seen as those before
            liked["view"] = view.value
        channel.disabled = view.value != CHANNEL
        picture.value = stage_html(seen[eye.value][0], features(), name.value, view.value, channel.value)

    for menu in (eye, name):
        menu.observe(choose, names="value")
    for control in (view, channel):
        control.observe(show, names="value")
    choose()
    return ipywidgets.VBox([parts.row(eye, name, view, channel), picture])


def trace_eye(model: nn.Module, pixels: PixelCache, image_id: str) -> tuple[np.ndarray, dict]:
    """An image (H, W, 3) of a cache at the model's input size, and what `models.inspect.trace` saw of it."""
    image = np.array(pixels.image(image_id))
    return image, trace(model, to_batch([image]))


def views(n_channels: int) -> list[str]:
    """The ways to see that many channels."""
    return [AS_COLOURS, LENGTH, CHANNEL] if n_channels > 3 else [CHANNEL]


def stage_html(image: np.ndarray, features: np.ndarray, name: str, view: str, channel: int) -> str:
    """The image beside features (C, h, w) seen in one way, with the numbers behind the colours."""
    if view == AS_COLOURS:
        seen, words = token_picture(features), "first three principal components as colours"
    else:
        seen = energy_picture(features) if view == LENGTH else features[channel]
        span = f"black {seen.min():.3g}, bright {seen.max():.3g}"
        words = f"{view if view == LENGTH else f'channel {channel}'}; {span}"
    size = "×".join(map(str, features.shape))
    shown = [
        MenuPicture("the image", image, "the eye"),
        MenuPicture(f"{name}, {size}: {words}", seen, f"{name}: {words}"),
    ]
    return parts.pictures(shown, height=260)
