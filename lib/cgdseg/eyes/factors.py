"""Every factor of a rendered eye as a named, documented range.

Factors -> draw(factors, seed, index, subject, eye) -> one value per factor. Lengths are in half fissure widths (half
the distance between the two corners of the eye) unless said otherwise; angles in degrees; light and colour 0..1."""

import functools
from types import SimpleNamespace
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Scope = Literal["subject", "eye", "image"]


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    if not bounds[0] <= bounds[1]:
        raise ValueError(f"a range is (low, high), this one is {bounds}")
    return bounds


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
Chance = Annotated[float, Field(ge=0, le=1)]


def _spread(group: str, low: float, high: float, neutral: float, meaning: str, scope: Scope = "image"):
    extra = {"group": group, "neutral": (neutral, neutral), "scope": scope}
    return Field((low, high), description=meaning, json_schema_extra=extra)


def _chance(group: str, value: float, neutral: float, meaning: str, scope: Scope = "image"):
    extra = {"group": group, "neutral": neutral, "scope": scope}
    return Field(value, description=meaning, json_schema_extra=extra)


class Factors(BaseModel):
    """Ranges (low, high) drawn uniformly, and chances; the defaults are the look `randomised`.

    `subject` factors are shared by both eyes of a person, `eye` factors by all images of an eye."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Mask convention: what human annotators of the set would call sclera, iris or pupil.
    label_under_lashes: bool = True  # False: pixels covered by a lash are `other`
    label_under_shadow: bool = True  # False: eyeball in the dark shadow of the upper lid is `other`
    label_under_reflections: bool = True  # False: bright reflections are `other`
    label_caruncle: bool = False  # True: the caruncle counts as sclera

    # how far each group of an image goes from its neutral point towards what its ranges drew
    spread: Range = (0.4, 1.0)

    # geometry: eyeball, lids, iris
    opening: Range = _spread("geometry", 0.65, 1.2, 0.95, "lid opening; 1 is relaxed, 0 closed")
    squint: Chance = _chance("geometry", 0.2, 0.0, "a narrowed eye")
    squint_opening: Range = _spread("geometry", 0.25, 0.8, 1.0, "factor of the opening then")
    upper_height: Range = _spread("geometry", 0.3, 0.47, 0.4, "height of the upper lid at opening 1", "eye")
    lower_height: Range = _spread("geometry", 0.18, 0.36, 0.27, "depth of the lower lid at opening 1", "eye")
    upper_peak: Range = _spread("geometry", -0.2, 0.3, 0.05, "where the upper lid is highest, towards the nose", "eye")
    lower_peak: Range = _spread("geometry", -0.4, 0.15, -0.15, "where the lower lid is lowest, towards the nose", "eye")
    roundness: Range = _spread("geometry", 1.7, 2.7, 2.1, "exponent of the lid curves; higher is boxier", "eye")
    temporal_taper: Range = _spread("geometry", 0.6, 1.05, 0.8, "taper to the outer corner; higher is sharper", "eye")
    nasal_taper: Range = _spread("geometry", 0.8, 1.5, 1.15, "taper to the inner corner; higher is sharper", "eye")
    tilt: Range = _spread("geometry", -0.1, 0.16, 0.03, "rise of the outer corner over the inner one", "eye")
    lid_wobble: Range = _spread("geometry", 0.0, 0.015, 0.0, "irregularity of the lid curves", "eye")
    iris_size: Range = _spread("geometry", 0.37, 0.49, 0.43, "radius of the iris", "eye")
    eyeball_radius: Range = _spread("geometry", 1.0, 1.2, 1.08, "radius of the eyeball", "eye")
    eyeball_x: Range = _spread("geometry", -0.14, 0.06, -0.04, "centre of the eyeball, towards the nose", "eye")
    eyeball_y: Range = _spread("geometry", -0.14, 0.03, -0.05, "centre of the eyeball, downwards", "eye")
    pupil_size: Range = _spread("geometry", 0.18, 0.6, 0.35, "radius of the pupil over that of the iris")

    # gaze: rotation of the eyeball
    gaze_jitter: Range = _spread("gaze", -7, 7, 0, "error of a commanded gaze, sideways")
    gaze_jitter_y: Range = _spread("gaze", -5, 5, 0, "error of a commanded gaze, up and down")
    gaze_side: Range = _spread("gaze", 18, 42, 0, "yaw of the gazes l and r")
    gaze_up: Range = _spread("gaze", 10, 30, 0, "pitch of the gaze u")
    free_yaw: Range = _spread("gaze", -45, 45, 0, "yaw where no gaze is commanded")
    free_pitch: Range = _spread("gaze", -22, 28, 0, "pitch where no gaze is commanded")
    free_straight: Chance = _chance("gaze", 0.4, 1.0, "share of straight looks where no gaze is commanded")
    lid_follow: Range = _spread("gaze", 0.3, 0.9, 0.6, "how far the lids follow the pitch")

    # crop: where the eye lies in the frame
    eye_width: Range = _spread("crop", 0.38, 1.22, 0.85, "fissure width over image width")
    offset_x: Range = _spread("crop", -0.24, 0.24, 0.0, "centre of the eye, in image widths")
    offset_y: Range = _spread("crop", -0.2, 0.2, 0.0, "centre of the eye, in image widths")
    roll: Range = _spread("crop", -22, 22, 0, "rotation of the camera")
    squeeze: Range = _spread("crop", 0.82, 1.42, 1.0, "height over width of a pixel before resizing")
    perspective_x: Range = _spread("crop", -0.14, 0.14, 0.0, "change of scale from left to right")
    perspective_y: Range = _spread("crop", -0.14, 0.14, 0.0, "change of scale from top to bottom")

    # sclera_colour
    sclera_light: Range = _spread("sclera_colour", 0.56, 0.9, 0.8, "lightness of the sclera", "subject")
    sclera_yellow: Range = _spread("sclera_colour", 0.0, 0.9, 0.2, "yellowish tint", "subject")
    sclera_pink: Range = _spread("sclera_colour", 0.0, 0.9, 0.2, "pink tint")
    sclera_blue: Range = _spread("sclera_colour", 0.0, 0.6, 0.1, "bluish tint", "subject")
    sclera_skin: Range = _spread(
        "sclera_colour", 0.0, 0.3, 0.0, "how far it takes on the skin's hue, by light from the lids"
    )
    canthus_red: Range = _spread("sclera_colour", 0.0, 1.0, 0.3, "redness towards the corners")
    mottle: Range = _spread("sclera_colour", 0.0, 1.0, 0.0, "cloudy unevenness of the sclera")
    vessels: Range = _spread("sclera_colour", 0.0, 0.9, 0.0, "contrast of the blood vessels, squared law")
    vessel_scale: Range = _spread("sclera_colour", 0.7, 1.6, 1.0, "size of the vessel pattern")

    # shading of the eyeball
    sphere: Range = _spread("shading", 0.05, 0.6, 0.0, "fall-off of light over the eyeball")
    lid_shadow: Range = _spread("shading", 0.05, 0.75, 0.0, "darkness of the upper lid's shadow")
    lid_shadow_size: Range = _spread("shading", 0.03, 0.22, 0.08, "reach of the upper lid's shadow")
    lower_shadow: Range = _spread("shading", 0.0, 0.35, 0.0, "darkness at the lower lid")
    corner_shadow: Range = _spread("shading", 0.0, 0.45, 0.0, "darkness in the corners")

    # illuminant and tone
    warmth: Range = _spread("illuminant", -0.75, 0.9, 0.0, "colour of the light from blue to orange")
    magenta: Range = _spread("illuminant", -0.5, 1.0, 0.0, "colour of the light from green to magenta")
    exposure: Range = _spread("illuminant", 0.55, 1.4, 0.95, "gain")
    gamma: Range = _spread("illuminant", 0.7, 1.35, 1.0, "exponent of the tone curve; higher is darker")
    contrast: Range = _spread("illuminant", 0.75, 1.35, 1.0, "slope of the tone curve")
    haze: Range = _spread("illuminant", 0.0, 0.14, 0.0, "veil of stray light")
    saturation: Range = _spread("illuminant", 0.4, 1.35, 1.0, "strength of the colours")
    recolour: Range = _spread("illuminant", 0.0, 0.3, 0.0, "mixing of the colour channels: unknown lamps and sensors")
    light_x: Range = _spread("illuminant", -1.0, 1.0, 0.0, "where the light comes from, left to right")
    light_y: Range = _spread("illuminant", -1.0, 0.4, -0.5, "where the light comes from, top to bottom")
    light_fall: Range = _spread("illuminant", 0.0, 0.5, 0.0, "fall-off of the light over the frame")
    patchy: Range = _spread("illuminant", 0.0, 0.3, 0.0, "soft shadows of unseen things")
    stains: Range = _spread("illuminant", 0.0, 0.07, 0.0, "coloured clouds of every size over the frame")
    vignette: Range = _spread("illuminant", 0.0, 0.45, 0.0, "darkening of the frame's corners")

    # skin
    skin_tone: Range = _spread("skin", 0.0, 1.0, 0.3, "melanin, fair to dark", "subject")
    skin_red: Range = _spread("skin", -0.5, 1.3, 0.0, "redness", "subject")
    skin_yellow: Range = _spread("skin", -0.3, 0.6, 0.0, "yellowness", "subject")
    skin_clouds: Range = _spread("skin", 0.2, 1.0, 0.0, "uneven tone")
    pores: Range = _spread("skin", 0.1, 1.0, 0.0, "fine texture")
    wrinkles: Range = _spread("skin", 0.0, 1.0, 0.0, "wrinkles along the lids", "subject")
    gloss: Range = _spread("skin", 0.0, 1.0, 0.0, "shine of the skin")
    crease_height: Range = _spread("skin", 0.1, 0.36, 0.2, "upper lid's visible height below its crease", "eye")
    crease: Range = _spread("skin", 0.1, 1.0, 0.0, "depth of the upper lid's crease", "eye")
    bulge: Range = _spread("skin", 0.1, 1.0, 0.0, "relief of lids, socket and cheek", "eye")
    bags: Range = _spread("skin", 0.0, 0.9, 0.0, "dark, folded skin under the eye", "subject")
    lid_tint: Range = _spread("skin", -0.3, 1.0, 0.0, "redder, darker skin near the lid margins", "subject")
    makeup: Chance = _chance("skin", 0.12, 0.0, "eye shadow")

    # brow
    brow: Chance = _chance("brow", 0.9, 0.0, "an eyebrow, where the frame reaches it")
    brow_height: Range = _spread("brow", 0.75, 1.2, 0.95, "height of the eyebrow over the eye", "eye")
    brow_size: Range = _spread("brow", 0.12, 0.3, 0.2, "thickness of the eyebrow", "subject")
    brow_density: Range = _spread("brow", 0.3, 1.0, 0.6, "density of the eyebrow", "subject")

    # lashes
    upper_lashes: Range = _spread("lashes", 20, 170, 0, "number of upper lashes", "eye")
    lower_lashes: Range = _spread("lashes", 0, 100, 0, "number of lower lashes", "eye")
    lash_length: Range = _spread("lashes", 0.12, 0.42, 0.25, "length of the upper lashes", "eye")
    lash_lift: Range = _spread("lashes", -0.6, 1.0, 0.6, "direction of the upper lashes, down to curled up", "eye")
    lash_width: Range = _spread("lashes", 0.004, 0.013, 0.008, "width of a lash", "subject")
    lash_dark: Range = _spread("lashes", 0.35, 1.0, 0.7, "opacity of the lashes", "subject")
    lash_band: Range = _spread("lashes", 0.0, 0.9, 0.0, "dark band of lash roots along the upper lid", "subject")
    liner: Chance = _chance("lashes", 0.12, 0.0, "eyeliner")
    strands: Chance = _chance("lashes", 0.12, 0.0, "single hairs that fall over the frame")
    lash_shadow: Range = _spread("lashes", 0.0, 0.5, 0.0, "shadow of the lashes on the eyeball")

    # margin: the wet lid edges
    waterline: Range = _spread("margin", 0.02, 0.11, 0.04, "width of the lower lid's wet edge", "eye")
    waterline_pink: Range = _spread("margin", 0.1, 1.0, 0.3, "how far its colour differs from skin")
    tear_line: Range = _spread("margin", 0.0, 1.0, 0.0, "brightness of the tear film at the lower lid")
    rim: Range = _spread("margin", 0.01, 0.04, 0.02, "width of the upper lid's edge", "eye")

    # iris
    iris_melanin: Range = _spread("iris", 0.0, 1.0, 0.5, "light to dark iris", "subject")
    iris_hue: Range = _spread("iris", 0.0, 1.0, 0.5, "hue of a light iris: blue, grey, green", "subject")
    iris_light: Range = _spread("iris", 0.7, 1.3, 1.0, "lightness of the iris", "subject")
    fibres: Range = _spread("iris", 0.2, 1.0, 0.0, "contrast of the radial fibres", "subject")
    collarette: Range = _spread("iris", 0.0, 1.0, 0.0, "ring of other colour round the pupil", "subject")
    limbal_ring: Range = _spread("iris", 0.0, 0.8, 0.0, "dark ring at the edge of the iris", "subject")
    limbus: Range = _spread("iris", 0.02, 0.14, 0.04, "softness of that edge over the iris radius", "subject")

    # reflections
    reflections: Range = _spread("reflections", 0.5, 3.9, 0.0, "number of bright reflections on the cornea")
    reflection_size: Range = _spread("reflections", 0.06, 0.36, 0.2, "their size over the iris radius")
    reflection_light: Range = _spread("reflections", 0.5, 1.0, 0.7, "their brightness")
    environment: Range = _spread("reflections", 0.0, 0.35, 0.0, "dim mirror image of the surroundings")
    wet_spots: Range = _spread("reflections", 0.0, 7.0, 0.0, "number of highlights on sclera and caruncle")

    # caruncle
    caruncle_start: Range = _spread("caruncle", 0.66, 0.92, 0.99, "where the caruncle begins, towards the nose", "eye")
    caruncle_curve: Range = _spread("caruncle", -0.6, 1.2, 0.0, "curvature of its border", "eye")
    caruncle_red: Range = _spread("caruncle", 0.2, 1.0, 0.4, "redness of the caruncle", "eye")

    # degradation: the camera
    blur: Range = _spread("degradation", 0.0, 1.0, 0.0, "defocus; 1 blurs over 0.6 % of the image width, squared law")
    motion: Chance = _chance("degradation", 0.1, 0.0, "camera shake")
    noise: Range = _spread("degradation", 0.0, 1.0, 0.0, "sensor noise; 1 is 6 % of full scale, squared law")
    jpeg: Chance = _chance("degradation", 0.5, 0.0, "JPEG compression")
    jpeg_quality: Range = _spread("degradation", 25, 92, 95, "its quality")
    small: Chance = _chance("degradation", 0.15, 0.0, "taken at lower resolution and enlarged")
    sharpen: Chance = _chance("degradation", 0.25, 0.0, "over-sharpened")
    refilter: Range = _spread(
        "degradation", 0.0, 0.3, 0.0, "random small filter: halos, smear, ringing of lens and phone"
    )
    local_contrast: Chance = _chance("degradation", 0.2, 0.0, "contrast raised locally, as phones do")

    def without(self, group: str) -> "Factors":
        """Return the factors with every range of `group` collapsed to its neutral point."""
        if group not in GROUPS:
            raise ValueError(f"there is no group {group!r} of factors; the groups are: {', '.join(GROUPS)}")
        return self.model_copy(update={name: e["neutral"] for name, e in _EXTRAS.items() if e["group"] == group})


_EXTRAS = {name: f.json_schema_extra for name, f in Factors.model_fields.items() if f.json_schema_extra}
GROUPS = tuple(dict.fromkeys(extra["group"] for extra in _EXTRAS.values()))
_NAMES = {s: [n for n, e in _EXTRAS.items() if e["scope"] == s] for s in ("subject", "eye", "image")}
_EYES = {"L": 0, "R": 1}


class _Words(np.random.bit_generator.ISeedSequence):
    """Seed words made beforehand."""

    def __init__(self, words: np.ndarray):
        self.words = words

    def generate_state(self, n_words: int, dtype: type = np.uint64) -> np.ndarray:
        return self.words


def streams(n: int, *keys: int) -> list[np.random.Generator]:
    """n random streams that depend on the keys alone; one seed for all, since seeding takes longest."""
    words = np.random.SeedSequence(keys).generate_state(4 * n, np.uint64)  # a PCG64 asks for four
    return [np.random.Generator(np.random.PCG64(_Words(own))) for own in words.reshape(n, 4)]


@functools.lru_cache(maxsize=64)
def _bounds(factors: Factors) -> dict[Scope, tuple[np.ndarray, np.ndarray]]:
    """Low ends and widths by scope; a chance p becomes the range whose draw is >= 0 with probability p."""
    values = {scope: [getattr(factors, name) for name in names] for scope, names in _NAMES.items()}
    pairs = {s: np.array([v if isinstance(v, tuple) else (v - 1, v) for v in values[s]]) for s in values}
    return {s: (p[:, 0], p[:, 1] - p[:, 0]) for s, p in pairs.items()}


def draw(factors: Factors, seed: int, index: int, subject: int | None, eye: str | None) -> SimpleNamespace:
    """Draw one value per factor; chances become bool.

    One uniform number is spent per factor, so collapsing a group leaves every other factor as it was.
    `subject` None: a person of their own. `eye` None: either eye. Also sets `.eye`, `.person`, `.eye_stream` (more
    randomness of the eye, shared by all its images) and the image's own `.skin_stream`, `.lash_stream`,
    `.surface_stream` (the eyeball and what it mirrors) and `.camera_stream`."""
    person = (1, seed, subject) if subject is not None else (2, seed, index)
    image, *own = streams(5, 3, seed, index)
    side = image.random()
    eye = eye or ("L" if side < 0.5 else "R")
    sources = {"subject": streams(1, *person, 0)[0], "eye": streams(1, *person, 1 + _EYES[eye])[0], "image": image}
    values = dict(zip(("skin_stream", "lash_stream", "surface_stream", "camera_stream"), own, strict=True))
    calm, wild = factors.spread
    limits = _bounds(factors)  # once an eye: hashing the factors takes longer than drawing them
    for scope, names in _NAMES.items():
        low, width = limits[scope]
        drawn = low + width * sources[scope].random(len(names))
        if calm < 1:
            neutral, group = _NEUTRAL[scope]
            strength = calm + (wild - calm) * sources[scope].random(len(_TYPICAL) + 1)
            strength[-1] = 1
            drawn = neutral + strength[group] * (drawn - neutral)
        values.update(zip(names, drawn.tolist(), strict=True))
    for name in _CHANCES:
        values[name] = values[name] > 0
    return SimpleNamespace(**values, eye=eye, person=person[-1], eye_stream=sources["eye"])


_CHANCES = [name for name, extra in _EXTRAS.items() if not isinstance(extra["neutral"], tuple)]
# groups whose neutral point is what most eyes and photographs are like; that of the others is absence
_TYPICAL = ("geometry", "gaze", "crop", "sclera_colour", "illuminant", "skin", "iris", "degradation")


def _calmed(name: str) -> int:
    """Number of the factor's group in _TYPICAL, -1 for what `spread` leaves alone."""
    group = _EXTRAS[name]["group"]
    return _TYPICAL.index(group) if group in _TYPICAL and name not in _CHANCES else -1


_NEUTRAL = {
    scope: (
        np.array([0.0 if name in _CHANCES else _EXTRAS[name]["neutral"][0] for name in names]),
        np.array([_calmed(name) for name in names]),
    )
    for scope, names in _NAMES.items()
}
