"""Text for people and pages: names that were probably meant, and escapes that hold whatever a file is called.

For HTML, `html.escape` of the standard library."""

import difflib
import os
import re
from collections.abc import Iterable
from html import escape


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Words to end an error about an unknown name with: the known one that was probably meant, or all of them."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4) or difflib.get_close_matches(name.upper(), known, 1)
    return f"; did you mean {close[0]}?" if close else f"; there is: {', '.join(known)}"


def visible(name: str) -> str:
    """A file's name as a terminal may print it: controls, turns of direction and what is no text are spelt out."""
    hidden = r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
    return re.sub(hidden, lambda found: ascii(found[0])[1:-1], name)


def plain_text(text: object) -> str:
    """A text on one line that Markdown takes for words: no HTML, link, table cell, code or emphasis in it."""
    words = escape(" ".join(str(text).split()), quote=False)
    return re.sub(r"[\\\[\]|`*_]", lambda mark: f"&#{ord(mark[0])};", words)


def harmless_markdown(text: str) -> str:
    """Markdown that keeps its emphasis and code, but brings in no HTML and no hidden link."""
    return re.sub(r"[\\<\[]", r"\\\g<0>", text)


def utf8(name: str) -> str:
    """A name with bytes that are not UTF-8 (surrogates, to Python) spelt out."""
    return os.fsencode(name).decode(errors="backslashreplace")
