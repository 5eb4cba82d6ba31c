"""Checks of what learns and what cannot: gradients by autograd, attention weights, LoRA's first steps, the losses."""

import copy
import math
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cgdseg.models.layers import CSSE
from cgdseg.studies.claims.evidence import Evidence, paper, paper_trace
from cgdseg.studies.claims.ledger import Found
from cgdseg.training.losses import dice_bce

EXACT = 1e-9  # of gradients in float64: more is no rounding


class Adapted(nn.Module):
    """Slide "LoRALinear Module" on a small frozen weight, in float64: W x + (alpha / r) B A x."""

    def __init__(self, rank: int = 8, alpha: float = 16.0, seed: int = 0, zero: str = "B"):
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.weight = torch.randn(24, 16, generator=draw, dtype=torch.float64)
        a, b = (torch.randn(s, generator=draw, dtype=torch.float64) for s in ((rank, 16), (24, rank)))
        self.A, self.B = (nn.Parameter(torch.zeros_like(v) if n == zero else v) for n, v in (("A", a), ("B", b)))
        self.scale = alpha / rank
        self.x = torch.randn(5, 16, generator=draw, dtype=torch.float64)

    def forward(self) -> Tensor:
        return self.x @ self.weight.T + self.scale * self.x @ self.A.T @ self.B.T

    def learn(self) -> Self:
        """Take the gradients of a plain loss; `arrived` is that of the answer (5, 24)."""
        answer = self()
        answer.retain_grad()
        answer.square().sum().backward()
        self.arrived = answer.grad
        return self


def lora_starts_as_identity(evidence: Evidence) -> Found:
    """Output of one adapted block of our model, with its adapters and without."""
    block = paper().backbone.dinov2.encoder.layer[0].attention.q_proj
    tokens = torch.randn(7, 384, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        difference = (block(tokens) - block.base_layer(tokens)).abs().max().item()
    return Found(difference == 0, f"untrained, the adapter changes its block's queries by {difference:.1g}")


def lora_scale(evidence: Evidence) -> Found:
    """The factor that our model's adapters carry."""
    return Found(float(paper().backbone.dinov2.encoder.layer[0].attention.q_proj.scaling["default"]))


def lora_rank(evidence: Evidence) -> Found:
    """Rank of B A for random A and B of the paper's shapes, by singular values."""
    draw = torch.Generator().manual_seed(0)
    change = torch.randn(1152, 8, generator=draw) @ torch.randn(8, 384, generator=draw)
    return Found(float(torch.linalg.matrix_rank(change)), "a bound for any A and B")


def lora_gradient(evidence: Evidence, of: str) -> Found:
    """The slides' formula against autograd."""
    layer = Adapted(zero="neither").learn()
    arrived = layer.scale * layer.arrived.T
    written = {"A": layer.B.T @ arrived @ layer.x, "B": arrived @ (layer.x @ layer.A.T)}
    found = getattr(layer, of).grad
    worst = (written[of] - found).abs().max().item() / found.abs().max().item()
    return Found(worst < EXACT, f"they differ by {worst:.1g} of the largest gradient")


def frozen_gets_no_gradient(evidence: Evidence) -> Found:
    """Which parameters of one block of our model receive a gradient."""
    block = copy.deepcopy(paper().backbone.dinov2.encoder.layer[0])
    block(torch.randn(1, 5, 384, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    moved = {name for name, p in block.named_parameters() if p.grad is not None}
    others = sorted(name for name in moved if "lora_" not in name)
    return Found(not others, f"{len(moved)} tensors of the block's adapters and {len(others)} others do")


def first_step(evidence: Evidence, of: str) -> Found:
    """Size of the first gradient at alpha = 2r against that at alpha = r, by autograd; 0 where both are nil."""
    sizes = [getattr(Adapted(alpha=alpha).learn(), of).grad.norm().item() for alpha in (16.0, 8.0)]
    nil = "" if sizes[1] else ": with B = 0, A has no gradient to scale at the first step"
    said = f"the gradient's length is {sizes[0]:.3g} against {sizes[1]:.3g}{nil}"
    return Found(sizes[0] / sizes[1] if sizes[1] else 0.0, said)


def adamw_step(evidence: Evidence) -> Found:
    """How far AdamW's first step moves B at alpha = 2r, against alpha = r."""
    moved = []
    for alpha in (16.0, 8.0):
        layer = Adapted(alpha=alpha).learn()
        torch.optim.AdamW(layer.parameters(), lr=1e-4).step()
        moved.append(layer.B.detach().norm().item())
    said = "AdamW divides the scale out of the gradient; what is left is the factor in the forward pass"
    return Found(moved[0] / moved[1], f"{said}: B moves {moved[0]:.3g} against {moved[1]:.3g}")


def first_effect(evidence: Evidence) -> Found:
    """How far AdamW's first step moves the output at alpha = 2r against alpha = r; one step is no convergence."""
    moved = []
    for alpha in (16.0, 8.0):
        layer = Adapted(alpha=alpha)
        before = layer().detach()
        layer.learn()
        torch.optim.AdamW(layer.parameters(), lr=1e-4).step()
        moved.append((layer() - before).norm().item())
    said = f"{moved[0] / moved[1]:.2f} times as far; who arrives first takes trainings at both scales on the data sets"
    return Found(None, said, "nothing")


def contribution_per_rank(evidence: Evidence) -> Found:
    """The gradient of one rank's column of B, over ranks from 2 to 32, when alpha = 2r and when alpha stays 16."""
    ranks, sizes, full = (2, 4, 8, 16, 32), {}, Adapted(rank=32)
    for name, alphas in (("2r", [2.0 * rank for rank in ranks]), ("16", [16.0] * len(ranks))):
        sizes[name] = []
        for rank, alpha in zip(ranks, alphas, strict=True):
            layer = Adapted(rank=rank, alpha=alpha)
            layer.x, layer.A = full.x, nn.Parameter(full.A.detach()[:rank].clone())  # the same column at every rank
            sizes[name].append(layer.learn().B.grad[:, 0].norm().item())
    spread = {name: max(found) / min(found) for name, found in sizes.items()}
    said = f"the largest is {spread['2r']:.3g} times the smallest at alpha = 2r, {spread['16']:.3g} times at alpha = 16"
    return Found(spread["2r"] < 1 + EXACT, f"{said}; the sum over ranks grows")


def zero_start(evidence: Evidence, zero: str, of: str) -> Found:
    """Whether one matrix has no gradient while the other, or it, starts at zero."""
    size = getattr(Adapted(zero=zero).learn(), of).grad.norm().item()
    return Found(size == 0, f"with {zero} = 0 the gradient of {of} has length {size:.3g}")


def only_zero_a_is_degenerate(evidence: Evidence) -> Found:
    """Which matrix is left without gradient by each start."""
    left = {}
    for zero in ("A", "B"):
        layer = Adapted(zero=zero).learn()
        left[zero] = [name for name in ("A", "B") if layer.get_parameter(name).grad.norm() == 0]
    said = [f"{zero} = 0 leaves {' and '.join(names) or 'none'} without a gradient" for zero, names in left.items()]
    return Found(bool(left["A"]) and not left["B"], f"{'; '.join(said)}: the two starts mirror each other")


def attention_weight_varies(evidence: Evidence) -> Found:
    """Attention weights and answers of our grounding over the patches of one image."""
    module, patches = paper().grounding, paper_trace()["backbone"]
    tokens = patches.flatten(2).transpose(1, 2)
    with torch.no_grad():
        answers, weights = module.attend(tokens, module.projection(module.keys))
    spread, apart = (weights.max() - weights.min()).item(), (answers - answers[:, :1]).abs().max().item()
    said = f"with one key the weight at {weights.shape[1]} patches is {weights.mean():.3f}, with a range of"
    return Found(spread > 1e-6, f"{said} {spread:.1g}; what is added differs by {apart:.1g} between them")


def grounding_learns(evidence: Evidence) -> Found:
    """Parameters of the grounding that the loss can move, by their gradient."""
    module = copy.deepcopy(paper().grounding).double()
    grounded = _attended(module, paper_trace()["backbone"].double())
    (grounded * torch.linspace(-1, 1, grounded.numel(), dtype=torch.float64).view_as(grounded)).sum().backward()
    gradients = torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])
    least = 1e-12 * gradients.abs().max()
    nil = int((gradients.abs() <= least).sum()) + sum(p.numel() for p in module.parameters() if p.grad is None)
    total = sum(p.numel() for p in module.parameters())
    return Found(nil == 0, f"{nil:,} of {total:,} have no gradient: the query and key projections, weights and biases")


def _attended(module: nn.Module, patches: Tensor) -> Tensor:
    """The grounding through the whole attention, without the short cut for one key."""
    tokens = patches.flatten(2).transpose(1, 2)
    return module.norm(tokens + module.attend(tokens, module.projection(module.keys))[0])


def score_scale(evidence: Evidence) -> Found:
    """What our attention divides scores by, found from the weights that it gives two known keys."""
    heads, width = paper().grounding.attention.num_heads, 384
    module = nn.MultiheadAttention(width, heads, batch_first=True, bias=False)
    module.in_proj_weight = nn.Parameter(torch.cat([torch.eye(width)] * 3))
    query, score = torch.zeros(1, 1, width), 5.0
    query[..., 0] = score  # in the first head only
    keys = torch.zeros(1, 2, width)
    keys[:, 0, 0] = 1.0
    with torch.no_grad():
        weights = module(query, keys, keys, average_attn_weights=False)[1][0, 0, 0]
    scale = score / math.log(weights[0] / weights[1])
    return Found(scale, f"with {heads} heads it is the root of {scale**2:.0f}, a head's width")


def bce_gradient(evidence: Evidence) -> Found:
    """Autograd on the mean of BCE with logits, times the number of pixels."""
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(1000, generator=draw, dtype=torch.float64, requires_grad=True)
    truth = (torch.rand(1000, generator=draw) < 0.3).double()
    F.binary_cross_entropy_with_logits(logits, truth).backward()
    worst = (1000 * logits.grad - (logits.sigmoid() - truth)).abs().max().item()
    said = f"it differs by {worst:.0e}; the factor 1/N of the mean, in the loss but not in the formula, is left out"
    return Found(worst < EXACT, said)


def bce_is_stable(evidence: Evidence) -> Found:
    """BCE of a wrong logit of 200 in float32, from logits and from probabilities."""
    logit, truth = torch.tensor([200.0]), torch.tensor([0.0])
    stable = F.binary_cross_entropy_with_logits(logit, truth).item()
    plain = -torch.log(1 - torch.sigmoid(logit)).item()
    return Found(math.isfinite(stable) and not math.isfinite(plain), f"from logits {stable:g}, sigmoid first {plain:g}")


def hard_masks_have_no_gradient(evidence: Evidence) -> Found:
    """Change of a Dice score per change of a logit, with a step and with a sigmoid."""
    logits = torch.linspace(-2, 2, 9, dtype=torch.float64)
    truth, nudge = (logits > 0.3).double(), 1e-6
    changes = []
    for soften in (lambda x: (x > 0).double(), torch.sigmoid):
        shifted = logits.clone()
        shifted[2] += nudge
        before, after = (2 * (soften(x) * truth).sum() / (soften(x).sum() + truth.sum()) for x in (logits, shifted))
        changes.append(abs(after - before).item() / nudge)
    return Found(changes[0] == 0 and changes[1] > 0, f"{changes[0]:g} with a step, {changes[1]:.2g} with a sigmoid")


def gates_are_independent(evidence: Evidence) -> Found:
    """Whether the spatial gate of our CSSE block moves when its channel gate is changed."""
    torch.manual_seed(0)
    block, features = CSSE(32, 16).eval(), torch.randn(1, 32, 8, 8)
    maps = []
    block.spatial_gate.register_forward_hook(lambda _m, _i, output: maps.append(output))
    with torch.no_grad():
        block(features)
        for weight in block.channel_gate.parameters():
            weight.mul_(-3)
        block(features)
    return Found(torch.equal(*maps), "side by side, the spatial gate sees the features before the channel gate")


def all_background(evidence: Evidence) -> Found:
    """The least BCE of one probability everywhere, against a half everywhere; minimal means a tenth of that or less."""
    shares = [share / 100 for share in evidence.claimed("sclera_share")]
    least = []
    for share in shares:
        truth = (torch.arange(1000) < 1000 * share).double().view(1, 1, 10, 100)
        least.append(dice_bce(torch.full_like(truth, math.log(share / (1 - share))), truth, 1.0, 0.0).item())
    listed = " and ".join(f"{bce:.3f} with {share:.0%} of sclera" for bce, share in zip(least, shares, strict=True))
    said = (
        f"BCE is least for the share of sclera, which marks no pixel: {listed}; a half everywhere has {math.log(2):.3f}"
    )
    return Found(max(least) <= 0.1 * math.log(2), said)


def product_vanishes(evidence: Evidence, width: int = 512) -> Found:
    """Gradients of an untrained CSSE block that multiplies, over one that adds; vanishing means under a hundredth."""
    least = {}
    for shift in (0.0, -5.0):
        product, added = _fused(width, shift, torch.mul), _fused(width, shift, torch.add)
        least[1 / (1 + math.exp(-shift))] = min(p / a for p, a in zip(product, added, strict=True))
    said = ", ".join(f"{ratio:.2g} with gates near {gate:.2g}" for gate, ratio in least.items())
    return Found(least[0.5] < 0.01, f"of its gradient the worst of features and both gates keeps {said}")


def _fused(width: int, shift: float, fuse) -> list[float]:
    """Length of the gradient of features, channel gate and spatial gate, `shift` added before the gates' sigmoids."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        block, features = CSSE(width, 16).double(), torch.randn(2, width, 8, 8, dtype=torch.float64)
        weights = torch.randn_like(features)
    features.requires_grad_()
    gates = [torch.sigmoid(gate[:-1](features) + shift) for gate in (block.channel_gate, block.spatial_gate)]
    (fuse(*(features * gate for gate in gates)) * weights).sum().backward()
    gradients = [[features], block.channel_gate.parameters(), block.spatial_gate.parameters()]
    return [torch.cat([p.grad.flatten() for p in of]).norm().item() for of in gradients]
