"""What every widget is put together from: menus, pictures with words for those who cannot see them, a choice of eyes.

pictures([Picture(caption, (H, W) or (H, W, 3), alt), ...]) -> HTML that holds its images."""

import base64
import contextlib
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

import matplotlib
import numpy as np

from cgdseg.data.images import encoded, resize_image

Widget = Any  # an ipywidgets.Widget: importing it talks to a front-end, which a notebook that runs by itself lacks
COLOURS_SAID = "Green is hit, orange is a false alarm, violet is missed."
OPENS = "Space opens it"  # JupyterLab takes the arrow keys of a closed menu for itself (ipywidgets issue 3912)
MOST_EYES = 12  # in a menu: more would have to be scrolled
PICTURE_HEIGHT = 190  # CSS pixels of a picture; narrow screens shrink it
LAYOUT = "display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start"
IMAGE = "display:block;max-width:100%;object-fit:contain"
CAPTION = "font-size:12px;line-height:1.3;margin-top:4px"


class MenuPicture(NamedTuple):
    """One picture of a widget: numbers (H, W) are shown in colours from their least to their most."""

    caption: str
    pixels: np.ndarray
    alt: str
    span: tuple[float, float] | None = None  # what black and the brightest colour stand for; None: least and most


def menu(name: str, options: Sequence | dict) -> Widget:
    """A menu whose name is its label, in full."""
    import ipywidgets

    look = {"style": {"description_width": "initial"}, "tooltip": OPENS}
    return ipywidgets.Dropdown(options=options, description=name, **look)


def row(*widgets: Widget) -> Widget:
    """Widgets beside each other, and below each other where the screen is narrow."""
    import ipywidgets

    return ipywidgets.HBox(widgets, layout={"flex_flow": "row wrap"})


def page() -> Widget:
    """A place for words, tables and pictures, which look as they do in the rest of the notebook."""
    import ipywidgets

    return ipywidgets.HTML().add_class("jp-RenderedHTMLCommon")


@contextlib.contextmanager
def quietly(show: Callable, *controls: Widget) -> Iterator[None]:
    """Set several controls that `show` observes, without its being called in between, when they do not fit yet."""
    for control in controls:
        control.unobserve(show, names="value")
    yield
    for control in controls:
        control.observe(show, names="value")


def words(*sentences: str) -> str:
    """A paragraph of plain text as HTML, with the line spacing of the notebook and not of a row of buttons."""
    return f'<p style="line-height:1.5;margin:4px 0">{escape(" ".join(sentences))}</p>'


def pictures(shown: Sequence[MenuPicture], height: int = PICTURE_HEIGHT) -> str:
    """Pictures beside each other as HTML; every text is escaped, whatever a file or a phrase is called."""
    figures = []
    for picture in shown:
        data = base64.b64encode(encoded("a.png", _small(_rgb(picture.pixels, picture.span), 2 * height))).decode()
        rough = "image-rendering:pixelated" if len(picture.pixels) < height else ""  # a patch is a square
        look = f"height:{height}px;{IMAGE};{rough}"
        image = f'<img alt="{escape(picture.alt)}" style="{look}" src="data:image/png;base64,{data}">'
        wide = max(90, round(height * picture.pixels.shape[1] / picture.pixels.shape[0]))
        caption = f'<figcaption style="{CAPTION}">{escape(picture.caption)}</figcaption>'
        figures.append(f'<figure style="margin:0;max-width:{wide}px">{image}{caption}</figure>')
    return f'<div style="{LAYOUT}">{"".join(figures)}</div>'


def some(names: Sequence, n: int = MOST_EYES) -> list:
    """n of them, evenly spread from the first to the last; all where there are fewer."""
    return [names[i] for i in np.unique(np.linspace(0, len(names) - 1, min(n, len(names))).round().astype(int))]


def _rgb(pixels: np.ndarray, span: tuple[float, float] | None) -> np.ndarray:
    """(H, W) numbers, or (H, W, 3) uint8 or in [0, 1] -> (H, W, 3) uint8."""
    if pixels.ndim == 2:
        low, high = span or (pixels.min(), pixels.max())
        flat = high - low < 1e-6  # rounding is no picture
        pixels = matplotlib.colormaps["magma"]((0 if flat else 1) * (pixels - low) / max(high - low, 1e-6))[..., :3]
    return pixels if pixels.dtype == np.uint8 else np.round(255 * pixels).astype(np.uint8)


def _small(pixels: np.ndarray, most: int) -> np.ndarray:
    """Pixels (H, W, 3) at no more than `most` rows: enough for screens with two pixels to one of CSS."""
    height, width = pixels.shape[:2]
    return resize_image(pixels, (most, round(width * most / height))) if height > most else pixels
