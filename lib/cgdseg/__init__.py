"""CGDSeg: text-grounded sclera segmentation, as a thin library under a series of notebooks."""

import os

__version__ = "0.1.0"

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # the library would ask the network on import
