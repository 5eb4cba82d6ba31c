"""Named looks: the stand-ins' narrow ranges and the wide ones meant for training.

LOOKS[name] -> Factors. A look states only what differs from `randomised`."""

from cgdseg.eyes.factors import Factors

# A generated set: one studio light, straight and moderate looks, clean and smooth, little variation.
_SYNCROI = Factors(
    spread=(1.0, 1.0), opening=(0.8, 1.05), squint=0.05, squint_opening=(0.6, 0.85), lid_wobble=(0.0, 0.004),
    free_yaw=(-22, 22), free_pitch=(-8, 12), free_straight=0.6, gaze_jitter=(-4, 4), gaze_jitter_y=(-3, 3),
    eye_width=(0.8, 0.98), offset_x=(-0.04, 0.04), offset_y=(-0.03, 0.03), roll=(-4, 4), squeeze=(0.97, 1.05),
    perspective_x=(0.0, 0.0), perspective_y=(0.0, 0.0),
    sclera_light=(0.74, 0.86), sclera_yellow=(0.0, 0.25), sclera_pink=(0.0, 0.3), sclera_blue=(0.0, 0.2),
    sclera_skin=(0.0, 0.1), canthus_red=(0.0, 0.4), mottle=(0.0, 0.3), vessels=(0.0, 0.25),
    sphere=(0.25, 0.45), lid_shadow=(0.15, 0.45), lid_shadow_size=(0.05, 0.14), lower_shadow=(0.0, 0.12),
    corner_shadow=(0.0, 0.25),
    warmth=(-0.15, 0.2), magenta=(-0.1, 0.15), exposure=(0.9, 1.08), gamma=(0.95, 1.08), contrast=(0.95, 1.1),
    haze=(0.0, 0.02), saturation=(0.8, 1.0), light_x=(-0.3, 0.3), light_y=(-0.7, -0.3), light_fall=(0.0, 0.12),
    patchy=(0.0, 0.04), vignette=(0.0, 0.1),
    skin_tone=(0.0, 0.45), skin_red=(-0.1, 0.3), skin_yellow=(-0.1, 0.3), skin_clouds=(0.1, 0.4), pores=(0.0, 0.25),
    wrinkles=(0.0, 0.35), gloss=(0.1, 0.4), bags=(0.0, 0.4), makeup=0.0,
    lower_lashes=(10, 50), lash_length=(0.15, 0.3), lash_lift=(0.3, 1.0), liner=0.0,
    reflections=(1.0, 2.2), reflection_size=(0.12, 0.26), environment=(0.0, 0.1), wet_spots=(0.0, 3.0),
    blur=(0.3, 0.5), motion=0.0, noise=(0.0, 0.12), jpeg=0.0, small=0.0, sharpen=0.0,
    recolour=(0.0, 0.0), stains=(0.0, 0.0), strands=0.0, refilter=(0.0, 0.0), local_contrast=0.0,
)  # fmt: skip

# A reflex camera in rooms and daylight: wide crops, commanded looks, neutral to cool light, moderate sharpness.
_MASD = Factors(
    spread=(1.0, 1.0), opening=(0.65, 1.15), squint=0.1,
    eye_width=(0.42, 0.68), offset_x=(-0.1, 0.1), offset_y=(-0.04, 0.12), roll=(-9, 9), squeeze=(0.95, 1.05),
    perspective_x=(-0.06, 0.06), perspective_y=(-0.06, 0.06),
    sclera_light=(0.62, 0.82), sclera_yellow=(0.2, 0.8), sclera_pink=(0.1, 0.6), sclera_skin=(0.0, 0.3),
    vessels=(0.1, 0.5),
    sphere=(0.3, 0.7), lid_shadow=(0.3, 0.75), lid_shadow_size=(0.06, 0.2), corner_shadow=(0.1, 0.5),
    warmth=(-0.6, 0.0), magenta=(-0.4, 0.05), exposure=(0.6, 0.95), gamma=(1.0, 1.3), contrast=(0.85, 1.1),
    saturation=(0.6, 0.95), light_y=(-1.0, -0.2), light_fall=(0.1, 0.5), vignette=(0.05, 0.35),
    skin_tone=(0.35, 0.9), skin_yellow=(0.0, 0.5), bags=(0.1, 0.8), gloss=(0.2, 0.8), makeup=0.05,
    brow=1.0, iris_melanin=(0.55, 1.0), reflections=(0.5, 3.0), environment=(0.05, 0.3),
    blur=(0.3, 0.85), motion=0.08, noise=(0.2, 0.7), jpeg=0.5, jpeg_quality=(60, 90), small=0.1, sharpen=0.05,
    recolour=(0.0, 0.08), stains=(0.0, 0.03), strands=0.05, refilter=(0.0, 0.05), local_contrast=0.05,
)  # fmt: skip

# A macro lens with a ring light: tight crops, strong vessels, warm, hard and sharp.
_SBVPI = Factors(
    spread=(1.0, 1.0), opening=(0.8, 1.2), squint=0.05,
    eye_width=(0.82, 1.05), offset_x=(-0.06, 0.06), offset_y=(-0.06, 0.05), roll=(-7, 7), squeeze=(0.97, 1.03),
    perspective_x=(-0.04, 0.04), perspective_y=(-0.04, 0.04),
    sclera_light=(0.72, 0.9), sclera_yellow=(0.0, 0.35), sclera_pink=(0.2, 0.8), sclera_skin=(0.0, 0.2),
    canthus_red=(0.3, 1.0), mottle=(0.2, 1.0), vessels=(0.55, 0.95), vessel_scale=(0.8, 1.3),
    sphere=(0.1, 0.4), lid_shadow=(0.1, 0.4), lid_shadow_size=(0.03, 0.09), corner_shadow=(0.0, 0.3),
    warmth=(0.1, 0.45), magenta=(0.05, 0.35), exposure=(0.85, 1.1), gamma=(0.88, 1.08), contrast=(1.05, 1.3),
    haze=(0.0, 0.02), saturation=(0.95, 1.25), light_x=(-0.5, 0.5), light_fall=(0.0, 0.2), patchy=(0.0, 0.08),
    vignette=(0.0, 0.25),
    skin_tone=(0.0, 0.35), skin_red=(0.1, 0.9), pores=(0.4, 1.0), wrinkles=(0.2, 1.0), gloss=(0.3, 1.0), makeup=0.08,
    reflections=(1.0, 2.9), reflection_size=(0.1, 0.3), reflection_light=(0.8, 1.0), wet_spots=(1.0, 7.0),
    tear_line=(0.3, 1.0), waterline_pink=(0.4, 1.0),
    blur=(0.0, 0.25), motion=0.0, noise=(0.0, 0.25), jpeg=0.3, jpeg_quality=(80, 95), small=0.0, sharpen=0.4,
    recolour=(0.0, 0.05), stains=(0.0, 0.02), strands=0.0, refilter=(0.0, 0.05), local_contrast=0.1,
)  # fmt: skip

LOOKS: dict[str, Factors] = {"syncroi": _SYNCROI, "masd": _MASD, "sbvpi": _SBVPI, "randomised": Factors()}
