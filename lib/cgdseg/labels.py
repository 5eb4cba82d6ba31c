"""The parts of an eye: the label that stands for each in every mask, and the colour it has in the SSBC kit's files."""

OTHER, SCLERA, IRIS, PUPIL = range(4)
LABELS = {"sclera": SCLERA, "iris": IRIS, "pupil": PUPIL}
KIT_COLOURS = {"sclera": (255, 0, 0), "iris": (0, 255, 0), "pupil": (0, 0, 255)}  # everything else is black
