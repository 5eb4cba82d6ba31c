"""Pictures of one eye on its way through CGDSeg: what each stage makes of it."""

import numpy as np
from sklearn.decomposition import PCA


def token_picture(features: np.ndarray) -> np.ndarray:
    """Features (C, h, w) -> their first three principal components as colours (h, w, 3) in [0, 1]."""
    channels, height, width = features.shape
    components = PCA(3).fit_transform(features.reshape(channels, -1).T)
    low, high = np.percentile(components, [2, 98], axis=0)
    return np.clip((components - low) / (high - low + 1e-9), 0, 1).reshape(height, width, 3)


def energy_picture(features: np.ndarray) -> np.ndarray:
    """Features (C, h, w) -> their length at each place (h, w)."""
    return np.linalg.norm(features, axis=0)


def stage_features(outputs: dict) -> dict[str, np.ndarray]:
    """What `inspect.trace` saw of CGDSeg on one image, in order of the five stages: name -> features (C, h, w)."""
    found = {"S1 patch tokens": outputs["backbone"], "S2 grounded": outputs["grounding"]}
    found |= {f"S3 pyramid f{i}": level for i, level in enumerate(outputs["pyramid"])}
    for i in range(3):
        found[f"S4 decoder {i + 1}"] = outputs[f"decoder.{i}"]
        found[f"spatial gate {i + 1}"] = outputs[f"decoder.{i}.csse.spatial_gate"]
    found["S5 probability"] = outputs["head"].sigmoid()
    return {name: features[0].numpy() for name, features in found.items()}


def stage_pictures(image: np.ndarray, outputs: dict) -> list[tuple[str, np.ndarray]]:
    """`stage_features` as captioned pictures, after the image (H, W, 3) itself."""
    pictures = [(f"image\n3×{image.shape[0]}×{image.shape[1]}", image)]
    for name, features in stage_features(outputs).items():
        if name.startswith(("S1", "S2")):
            picture = token_picture(features)
        else:
            picture = features[0] if name.startswith(("spatial", "S5")) else energy_picture(features)
        pictures.append((f"{name}\n{'×'.join(map(str, features.shape))}", picture))
    return pictures
