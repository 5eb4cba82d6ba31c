"""Checks of CGDSeg's shapes, counts and costs, on the real modules at the paper's size."""

import functools
import math

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, Dinov2Config
from transformers.activations import ACT2FN
from transformers.models.dinov2.modeling_dinov2 import Dinov2Embeddings

from cgdseg.config import UNet
from cgdseg.models import inspect, registry
from cgdseg.models.layers import CSSE
from cgdseg.studies.anatomy import upsampling
from cgdseg.studies.anatomy.cgdseg import paper_counts, paper_size
from cgdseg.studies.claims.evidence import Evidence, paper, paper_trace
from cgdseg.studies.claims.ledger import Found


@functools.cache
def _counts() -> dict[str, int]:
    return paper_counts(inspect.parameter_table(paper_size(), paper()))


def part_parameters(evidence: Evidence, part: str) -> Found:
    """Parameters of one part of our model at the paper's size, counted."""
    count = _counts()[part]
    return Found(float(count), f"{part} has {count:,}")


def trainable_share(evidence: Evidence) -> Found:
    """Trainable parameters over all, the text tower's among them, counted."""
    share = 100 * _counts()["all trainable"] / _counts()["total"]
    return Found(share, f"{_counts()['all trainable']:,} of {_counts()['total']:,}")


def several_parts(evidence: Evidence, names: list[str]) -> Found:
    """Parameters of several parts of our model together, counted."""
    counts = [_counts()[name] for name in names]
    return Found(float(sum(counts)), " + ".join(f"{name} {n:,}" for name, n in zip(names, counts, strict=True)))


def clip_parameters(evidence: Evidence) -> Found:
    """Parameters of CLIP ViT-B/32, both towers, counted on its definition in transformers."""
    with torch.device("meta"):
        both = sum(p.numel() for p in CLIPModel(CLIPConfig()).parameters())
    said = f"text and image together have {both:,}; the text tower has {_counts()['CLIP text tower']:,}"
    return Found(float(both), said)


def clip_text_setting(evidence: Evidence, name: str) -> Found:
    """The setting of CLIP ViT-B/32's text tower in transformers."""
    return Found(float(getattr(CLIPTextConfig(), name)))


def clip_activation(evidence: Evidence) -> Found:
    """The activation of CLIP ViT-B/32's text tower in transformers, and how far it is from GELU."""
    name, x = CLIPTextConfig().hidden_act, torch.linspace(-8, 8, 4001)
    apart = (ACT2FN[name](x) - ACT2FN["gelu"](x)).abs().max().item()
    ours = paper().backbone.dinov2.config.hidden_act
    return Found(name, f"CLIP has {name}, which is up to {apart:.3f} away from GELU; DINOv2 has {ours}")


def module_parameters(evidence: Evidence, module: str) -> Found:
    """Parameters of one module of our model at the paper's size, counted."""
    count = sum(p.numel() for p in paper().get_submodule(module).parameters())
    return Found(float(count), f"`{module}`: {count:,}")


def lora_block(evidence: Evidence) -> Found:
    """Parameters of the adapter of one block: one A for q, k and v, as on a fused projection."""
    block = paper().backbone.dinov2.encoder.layer[0]
    adapters = [p for name, p in block.named_parameters() if "lora_" in name]
    shapes = ", ".join(f"{a}×{b}" for a, b in sorted({tuple(p.shape) for p in adapters}))
    return Found(float(sum(p.numel() for p in adapters)), f"matrices of {shapes}, the second for each of q, k, v")


def lora_adapters(evidence: Evidence) -> Found:
    """Blocks of our model that hold an adapter."""
    blocks = paper().backbone.dinov2.encoder.layer
    return Found(float(sum(any("lora_A" in name for name, _ in block.named_parameters()) for block in blocks)))


def shape(evidence: Evidence, module: str) -> Found:
    """The shape that leaves a module when one image passes through our model."""
    return Found("×".join(map(str, paper_trace()[module].shape)), f"after `{module}`")


def tokens_shape(evidence: Evidence, module: str) -> Found:
    """The shape that leaves a module for one image, its grid of patches read as a sequence."""
    grid = paper_trace()[module]
    return Found("×".join(map(str, grid.flatten(2).transpose(1, 2).shape)), f"after `{module}`, (B, N, C)")


def cached_text(evidence: Evidence) -> Found:
    """The shape of the cached keys, for a batch of one, and whether checkpoints hold them."""
    keys, stored = paper().grounding.keys, "grounding.keys" in paper().state_dict()
    return Found("×".join(map(str, (1, *keys.shape))), "checkpoints hold it" if stored else "checkpoints lack it")


def channels(evidence: Evidence, module: str) -> Found:
    """Channels that leave a module of our model."""
    return Found(float(paper_trace()[module].shape[1]), f"after `{module}`")


def backbone(evidence: Evidence, name: str) -> Found:
    """A part of the DINOv2 that our model builds, or a default of its code in transformers."""
    dinov2 = paper().backbone.dinov2
    block = dinov2.encoder.layer[0]
    found = {
        "MLP width": block.mlp.fc1.out_features,
        "head width": block.attention.head_dim,
        "others": math.prod(paper().backbone.grid),  # of grid + CLS tokens, each sees all but itself
    }
    value = found[name] if name in found else getattr(dinov2.config, name)
    return Found(value if isinstance(value, str) else float(value))


def positions_resized(evidence: Evidence) -> Found:
    """How transformers' DINOv2 resizes positions from 37×37 to 18×18, by comparison with PyTorch's interpolations."""
    embeddings = Dinov2Embeddings(Dinov2Config(image_size=518, patch_size=14, hidden_size=6))
    square = embeddings.position_embeddings[:, 1:].transpose(1, 2).unflatten(2, (37, 37))
    with torch.no_grad():
        found = embeddings.interpolate_pos_encoding(torch.zeros(1, 325, 6), 256, 256)[:, 1:]
        resized = {mode: F.interpolate(square, size=18, mode=mode) for mode in ("nearest", "bilinear", "bicubic")}
    apart = {mode: (grid.flatten(2).transpose(1, 2) - found).abs().max().item() for mode, grid in resized.items()}
    listed = ", ".join(f"{distance:.2g} from {mode}" for mode, distance in apart.items())
    return Found(
        min(apart, key=apart.get), f"the result is {listed}; the log line quoted is timm's, which is bicubic too"
    )


def rank_memory(evidence: Evidence, rank: int) -> Found:
    """Memory that a higher rank adds to the model's in training, substantial from a tenth; without activations."""
    counts = _counts()
    trained = 4 * 4  # bytes: weight, gradient and AdamW's two moments in float32
    lora = {r: counts["LoRA"] * r // int(evidence.numbers["rank"]) for r in (int(evidence.numbers["rank"]), rank)}
    small, large = lora.values()
    whole = 4 * counts["total"] + (trained - 4) * counts["all trainable"]
    added = trained * (large - small)
    listed = " and ".join(f"{n:,} parameters at rank {r}" for r, n in lora.items())
    said = f"LoRA has {listed}: {added / 1e6:.1f} MB more of weights, gradients and moments beside {whole / 1e6:.0f} MB"
    return Found(added >= 0.1 * whole, f"{said} of the whole model's, or {added / whole:.1%}")


def patch_embedding(evidence: Evidence) -> Found:
    """The convolution that makes the patches: inputs, outputs, kernel and stride."""
    conv = next(m for m in paper().backbone.dinov2.embeddings.modules() if isinstance(m, nn.Conv2d))
    return Found(f"Conv2d({conv.in_channels},{conv.out_channels},{conv.kernel_size[0]},{conv.stride[0]})")


def whole_image_is_seen(evidence: Evidence) -> Found:
    """Which pixels move the patch features, by their gradient."""
    image = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0), requires_grad=True)
    paper().backbone.dinov2.embeddings.patch_embeddings(image).square().sum().backward()
    unseen = int((image.grad.abs().sum((0, 1, 3)) == 0).sum())
    share = float((image.grad.abs().sum((0, 1)) == 0).float().mean())
    said = f"18 patches of 14 are 252 pixels: {unseen} rows and as many columns, {share:.1%} of the image, are not seen"
    return Found(unseen == 0, said)


def block_operations(evidence: Evidence) -> Found:
    """Multiplications of one transformer block on 325 tokens, counted by PyTorch."""
    block = paper().backbone.dinov2.encoder.layer[0]
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):  # the fused kernel's products are not counted
        block(torch.zeros(1, 325, 384))
    products = counter.get_total_flops() / 2
    scores = 2 * 325**2 * 384  # QK' and the weighted sum of V
    said = f"{products / 1e6:,.0f} million; {scores / 1e6:,.0f} grow with N² d, the rest, projections and MLP, with"
    return Found(products, f"{said} N d²")


def connections(evidence: Evidence) -> Found:
    """Paths into the layers of one Dense block, from the channels that each layer takes in."""
    dense = paper().decoder[0].dense
    widths = [layer[0].num_features for layer in dense.layers]
    growth = dense.layers[0][-1].out_channels
    paths = sum(1 + (width - widths[0]) // growth for width in widths)  # the input, and each layer before
    return Found(float(paths), f"the {len(widths)} layers take in {', '.join(map(str, widths))} channels")


def bottleneck(evidence: Evidence) -> Found:
    """The layers of one step of a Dense block."""
    kinds = {"BatchNorm2d": "BN", "ReLU": "ReLU"}
    step = paper().decoder[0].dense.layers[0]
    names = [kinds.get(type(m).__name__) or f"Conv{'×'.join(map(str, m.kernel_size))}({m.out_channels})" for m in step]
    return Found(" → ".join(names), "4k is 128 and k is 32")


def csse_parameters(evidence: Evidence, gate: str, width: int = 512) -> Found:
    """Parameters of one gate of a CSSE block of 512 channels, counted."""
    return Found(float(sum(p.numel() for p in getattr(CSSE(width, 16), gate).parameters())))


def free_of_parameters(evidence: Evidence) -> Found:
    """Parameters of the decoder's upsampling, counted."""
    count = sum(p.numel() for stage in paper().decoder for p in stage.upsample.parameters())
    return Found(count == 0, f"{count} parameters")


@functools.cache
def _upsamplers() -> pd.DataFrame:
    return upsampling.table().set_index("upsampling")


def checkerboard(evidence: Evidence, kind: str, against: str) -> Found:
    """Checkerboard index of two untrained upsamplers for a constant (notebook 2); 0: none, 1: nothing else."""
    index = _upsamplers()["checkerboard index"]
    return Found(bool(index[kind] < index[against]), f"{kind} {index[kind]:.3f}, {against} {index[against]:.3f}")


def stray_energy(evidence: Evidence, sides: list[int]) -> Found:
    """Energy that bilinear resizing of 18×18 moves to frequencies which were not there; all of them come in alike."""
    strays = {side: _strays(18, side) for side in sides}
    listed = ", ".join(f"{100 * every:.0f} % at {side}×{side}" for side, (every, _) in strays.items())
    slowest = 100 * max(slow for _, slow in strays.values())
    said = f"of the energy of white noise {listed} goes astray, of the slowest wave {slowest:.1g} %, of a constant none"
    return Found(100 * max(every for every, _ in strays.values()), said)


def _strays(grid: int, side: int) -> tuple[float, float]:
    """Shares of stray energy when a periodic map is resized: all waves of the grid alike, and the slowest along x."""
    places = torch.eye(grid, dtype=torch.float64)[:, None].repeat(1, 1, 3)  # a period on either side
    lines = F.interpolate(places, size=3 * side, mode="linear")[:, 0, side : 2 * side]
    power = torch.fft.fft(torch.fft.fft(lines, dim=0), dim=1).abs().square()  # wave in × wave out
    before, after = (torch.fft.fftfreq(n, 1 / n).abs().round() for n in (grid, side))
    kept = (power * (before[:, None] == after)).sum(1)
    every = 1 - (kept.sum() / power.sum()) ** 2  # along x and y
    return float(every), float(1 - kept[1] / power[1].sum())


def cost_of_a_scale(evidence: Evidence) -> Found:
    """Operations of one pyramid level, with channels or pixels doubled; O(C) leaves pixels out and doubles with C."""
    wider, larger = _level(2, 1) / _level(1, 1), _level(1, 2) / _level(1, 1)
    said = f"twice the channels take {wider:.0f} times the operations, twice the height and width {larger:.0f} times"
    return Found(wider == 2 and larger == 1, f"{said}: O(H W C²)")


def _level(width: int, side: int) -> int:
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        nn.Conv2d(384 * width, 96 * width, 1)(torch.zeros(1, 384 * width, 16 * side, 16 * side))
    return counter.get_total_flops()


def unet_memory(evidence: Evidence) -> Found:
    """What a U-Net's encoder keeps, in numbers, at two sizes; O(H²W²) is 16 times at twice the side."""
    small, large = _kept(64), _kept(128)
    ratio = large / small
    said = f"{small:,} at 64×64, {large:,} at 128×128: {ratio:.0f} times, that is O(H W)"
    return Found(abs(ratio - 16) < 1, said)


@torch.no_grad()
def _kept(side: int) -> int:
    model = registry.build_system(UNet(input_size=(side, side), channels=(8, 16, 32)))
    outputs = inspect.trace(model, torch.zeros(1, 3, side, side))
    kept = [value for name, value in outputs.items() if name.startswith("encoder.") and isinstance(value, Tensor)]
    return sum(value.numel() for value in kept)


def logits_kind(evidence: Evidence) -> Found:
    """The type that leaves our head under autocast in half precision, as prediction with AMP runs it."""
    head = paper().head.layers
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        logits = head(torch.zeros(1, 128, 8, 8))
    said = "convolutions run in half precision under AMP (bfloat16 on a CPU, float16 on CUDA), the last one too"
    return Found(str(logits.dtype).removeprefix("torch."), said)


def text_tower_at_work(evidence: Evidence) -> Found:
    """Parameters of modules of CLIP that one forward pass of our model could use."""
    towers = [module for module in paper().modules() if "CLIP" in type(module).__name__]
    parts = ", ".join(name for name, _ in paper().named_children())
    return Found(float(sum(p.numel() for m in towers for p in m.parameters())), f"the model holds {parts}")
