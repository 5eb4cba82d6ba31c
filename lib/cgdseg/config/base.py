"""What all settings share: their base class, the kinds of value in them.

An unknown key is an error that names the one that was probably meant."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator

from cgdseg.labels import LABELS
from cgdseg.text import did_you_mean

Size = tuple[PositiveInt, PositiveInt]  # (H, W), height first
Level = Annotated[int, Field(ge=0, le=255)]
RGB = tuple[Level, Level, Level]
Part = Literal["sclera", "iris", "pupil"]


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _has_known_keys(cls, given: Any) -> Any:
        for key in given if isinstance(given, dict) else ():
            if key not in cls.model_fields:
                raise ValueError(f"there is no setting {key}{did_you_mean(str(key), cls.model_fields)}")
        return given


class SystemSettings(Settings):
    """What every system has; `built_by` is the module that makes a network of its settings (`registry`)."""

    built_by: ClassVar[str]
    input_size: Size = (256, 256)
    classes: tuple[Part, ...] = ("sclera",)  # one logit map each, in the order of their labels

    def modules(self) -> list[str]:
        """The modules whose code shapes a trained system, beside the training's own; none is imported to name them."""
        return [self.built_by]

    @field_validator("classes")
    @classmethod
    def _follow_the_labels(cls, classes: tuple[Part, ...]) -> tuple[Part, ...]:
        if classes not in (order := [tuple(LABELS)[:n] for n in (1, 2, 3)]):
            raise ValueError(f"classes must be one of {order}")
        return classes
