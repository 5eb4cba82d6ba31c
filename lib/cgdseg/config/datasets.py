"""What a config says of a dataset: where it lies, how it is laid out, and which eyes are rendered in its place."""

import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import PositiveInt, field_validator, model_validator

from cgdseg import paths
from cgdseg.config.base import RGB, Part, Settings, Size


class StandIn(Settings):
    """Rendered eyes that take the place of a dataset nobody may redistribute."""

    look: str  # a name in cgdseg.eyes.looks.LOOKS
    n_images: PositiveInt
    n_subjects: PositiveInt = 1
    seed: int = 0
    size: Size = (300, 400)
    factors: dict[str, Any] = {}  # ranges that differ from the look's own


DESCRIPTIVE = {"origin", "licence"}  # of a dataset, which change no pixel of it


class Dataset(Settings):
    """One dataset on disk. `root` is absolute or relative to HOME."""

    layout: Literal["syncroi", "sbvpi", "masd", "mobius", "smd", "sld", "plain"]
    root: Path
    domain: Literal["synthetic", "real"]
    test_only: bool = False  # no condition may train on it
    stand_in: StandIn | None = None
    images: str = "Images/**/*"  # `plain` only: a glob below root
    masks: str = "Masks/**/{stem}.*"  # `plain` only: the glob of the mask that belongs to an image
    person: str | None = None  # `plain` only: a pattern whose group is the person; None: first folder below `images`
    origin: str = ""  # who made it and how to get it, for its card
    licence: str = ""  # what it may be used for, for its card
    colours: dict[Part, RGB] | None = None  # colour table of the masks; None: the layout's own, or white = sclera

    @model_validator(mode="after")
    def _is_used_somewhere(self) -> Self:
        if self.test_only and self.domain == "synthetic":
            raise ValueError("synthetic eyes are never tested on, so test_only leaves them unused: drop it")
        return self

    @field_validator("masks")
    @classmethod
    def _names_the_stem(cls, masks: str) -> str:
        if "{stem}" not in masks.rpartition("/")[2]:
            raise ValueError("the file name of a mask must hold {stem}, the name of its image: such as {stem}_mask.png")
        return masks

    @model_validator(mode="after")
    def _is_plain_where_it_says_who(self) -> Self:
        if self.person and self.layout != "plain":
            whose = f"{self.layout} tells people apart by its own names"
            raise ValueError(f"person is for the layout plain; {whose}: drop it")
        return self

    @field_validator("person")
    @classmethod
    def _has_a_group(cls, person: str | None) -> str | None:
        try:
            n_groups = re.compile(person or "()").groups
        except re.error as error:
            raise ValueError(f"person: {person!r} is not a regular expression: {error}") from None
        if n_groups != 1:
            raise ValueError(f"person: {person!r} must have one group, which is the person: such as (p\\d+)_")
        return person

    @property
    def folder(self) -> Path:
        return self.root if self.root.is_absolute() else paths.HOME / self.root
