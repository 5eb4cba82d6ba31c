"""What tables and figures look like on a page: frames and image files in, HTML that needs no other file out.

Every text is escaped here, whatever a file or a label is called."""

import base64
import io
import math
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the runner imports this file many times and needs no tables
    import pandas as pd

MISSING = "–"
MANY_COLUMNS = 9  # columns that fill the width of a page
SHORT = 28  # characters that a cell of text holds without a line break
WEBP = 90  # quality: a tenth of a PNG's bytes for photographs, and no difference to be seen


def table_html(table: "pd.DataFrame", caption: str, origin: str = "", source: str = "") -> str:
    """A table with caption, origin and a link to its CSV; numbers stand right, rounded alike within a column."""
    numeric = [table.iloc[:, i].dtype.kind in "iuf" for i in range(table.shape[1])]
    kinds = ['class="number"' if n else 'class="text"' for n in numeric]
    heads = [" ".join(map(str, name)).strip() if isinstance(name, tuple) else str(name) for name in table.columns]
    head = "".join(f'<th scope="col" {kind}>{escape(name)}</th>' for kind, name in zip(kinds, heads, strict=True))
    columns = [_cells(table.iloc[:, i], numeric[i], kinds[i]) for i in range(table.shape[1])]
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in zip(*columns, strict=True))
    if table.empty:
        body = f'<tr><td class="text" colspan="{table.shape[1]}">none</td></tr>'
    below = " · ".join(filter(None, [escape(origin), _link(source, "CSV")]))
    look = "data dense" if table.shape[1] > MANY_COLUMNS else "data"
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table class="{look}">\n'
        f"<caption><span>{escape(caption)}</span></caption>\n<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"
        + (f'<p class="origin">{below}</p>' if below else "")
    )


def figure_html(path: Path, alt: str, caption: str, data: str = "", full: str = "") -> str:
    """A figure with its image inside; `data` and `full` are links to its numbers and to the file at full quality."""
    words = " · ".join(filter(None, [escape(caption), _link(data, "data"), _link(full, "full size")]))
    return f"<figure>{_image(path, alt)}<figcaption>{words}</figcaption></figure>"


def compare_html(below: Path, above: Path, alt: str, caption: str) -> str:
    """Two pictures of one size: beside each other, or under a slider where the page's script runs."""
    over = _image(above, f"{alt}, the second picture").replace("<img ", '<img data-over="" ', 1)
    named = f'aria-label="{escape(caption)}: how much to uncover"'
    slider = f'<input type="range" min="0" max="100" value="50" {named} hidden>'
    pictures = _image(below, alt) + over
    return f'<figure><div class="compare">{pictures}{slider}</div><figcaption>{escape(caption)}</figcaption></figure>'


def _link(target: str, words: str) -> str:
    return f'<a href="{escape(target)}">{words}</a>' if target else ""


def _image(path: Path, alt: str) -> str:
    """An <img> that holds its file; pictures of eyes as WebP, because a page of PNGs would weigh megabytes."""
    kind, content = ("svg+xml", path.read_bytes()) if path.suffix == ".svg" else ("webp", _webp(path))
    data = base64.b64encode(content).decode()
    return f'<img class="{path.suffix[1:]}" alt="{escape(alt)}" src="data:image/{kind};base64,{data}">'


def _webp(path: Path) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    with Image.open(path) as picture:
        picture.convert("RGB").save(buffer, "WEBP", quality=WEBP, method=4)
    return buffer.getvalue()


def _cells(column: "pd.Series", numeric: bool, kind: str) -> list[str]:
    if not numeric:
        words = [MISSING if gone else _words(value) for value, gone in zip(column, column.isna(), strict=True)]
        if max(map(len, words), default=0) <= SHORT:
            kind = kind.replace("text", "text short")
        return [f"<td {kind}>{escape(text)}</td>" for text in words]
    texts = zip(column, _numbers(column), strict=True)
    return [f'<td {kind} data-value="{value}">{escape(text)}</td>' for value, text in texts]


def _numbers(column: "pd.Series") -> list[str]:
    """Integers in full; other numbers to about four figures, with one number of decimals for the whole column.

    A column of scores keeps the four decimals that the field prints."""
    values = column.astype(float).tolist()
    finite = [abs(value) for value in values if math.isfinite(value)]
    top = max(finite, default=0)
    if all(float(value).is_integer() for value in finite):
        layout = ",.0f"
    elif top < 0.01:
        layout = ".3g"
    else:
        layout = f",.{4 if top <= 1 else 3 if top < 10 else max(0, 3 - int(math.log10(top)))}f"
    smallest = 0.0005 if layout.endswith("f") and "0f" not in layout else 0  # p = 0.0001 must not read 0.000
    small = [0 < abs(value) < smallest for value in values]
    texts = [format(value, ".1g" if tiny else layout) for value, tiny in zip(values, small, strict=True)]
    return [MISSING if text == "nan" else text for text in texts]


def _words(value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
