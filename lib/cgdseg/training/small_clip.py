"""The small text-image encoder of our own, pretrained by contrast on rendered eyes and phrases on them.

pretrained(settings) -> its folder, made when it is missing."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import CLIPModel, PreTrainedTokenizerFast

from cgdseg import loops
from cgdseg.config import Config, Pretraining, Run
from cgdseg.eyes import render_eye
from cgdseg.eyes.looks import LOOKS
from cgdseg.eyes.phrases import MEANINGS, NAMES, PHRASES, masks, regions
from cgdseg.files import folder_atomic, lock
from cgdseg.models.layers import to_batch
from cgdseg.models.memory import keep_freed_memory
from cgdseg.models.small_clip import (
    clip_config,
    encoder_folder,
    patch_features,
    patch_shares,
    phrase_features,
    phrase_maps,
    phrase_tokenizer,
)

PATIENCE_S = 3600  # another process may be at it
PRETRAINING_STREAM = 2_000_003  # keeps these eyes apart from those that segmentation trains on


def pretrained(settings: Pretraining) -> Path:
    """The folder of the encoder that `settings` describe; pretrains it first where there is none.

    It appears complete or not at all, and one process makes it for all that wait."""
    folder = encoder_folder(settings)
    if folder.exists():  # to read it needs no lock
        return folder
    with lock(folder.with_name(f".{folder.name}.lock"), f"the text encoder {folder.name}", patience_s=PATIENCE_S):
        if not folder.exists():
            n_threads, (model, tokenizer) = torch.get_num_threads(), pretrain(settings)
            torch.set_num_threads(n_threads)
            with folder_atomic(folder) as part:
                model.save_pretrained(part)
                tokenizer.save_pretrained(part)
    return folder


def pretrained_for(cfg: Config, run: Run | None = None) -> list[Path]:
    """The folders of all encoders of our own that a config's systems, or that of one run, take their texts from."""
    return [pretrained(settings) for settings in cfg.text_encoders(run)]


@torch.enable_grad()  # those who only want its vectors ask without gradients
def pretrain(settings: Pretraining) -> tuple[CLIPModel, PreTrainedTokenizerFast]:
    """InfoNCE (Radford et al. 2021) between regions and phrases; every phrase that is true of a region is its positive.

    A region is the mean of its patches, so that single patches learn to answer phrases. On one thread, so that the
    same settings give the same weights."""
    torch.set_num_threads(1)
    keep_freed_memory()
    random = np.random.default_rng(settings.seed)
    tokenizer = phrase_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = CLIPModel(clip_config(settings, len(tokenizer)))
    images, weights, truths, owners = render_regions(settings)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=0.01, fused=True)
    steps = settings.epochs * (settings.eyes // settings.batch_size)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.lr, steps)
    of_eye = np.split(np.arange(len(owners)), np.cumsum(np.bincount(owners))[:-1])
    for _ in loops.bar(range(steps), desc="pretraining text encoder", unit="step"):
        batch = random.choice(settings.eyes, settings.batch_size, replace=False)
        drawn = [random.permutation(of_eye[eye])[: settings.regions] for eye in batch]
        chosen, row = np.concatenate(drawn), np.repeat(np.arange(len(batch)), [len(few) for few in drawn])
        meanings = np.array([random.choice(np.flatnonzero(truths[region])) for region in chosen])
        phrases = [random.choice(PHRASES[MEANINGS[meaning]]) for meaning in meanings]
        grid = patch_features(model, images[batch])  # (B, N, D)
        seen = F.normalize((grid[row] * weights[chosen, :, None]).sum(1), dim=-1)
        said = phrase_features(model, tokenizer, phrases)
        loss = contrast(model.logit_scale.exp() * seen @ said.T, torch.from_numpy(truths[chosen][:, meanings]))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
    return model.eval(), tokenizer


def contrast(logits: Tensor, positive: Tensor) -> Tensor:
    """Mean over both directions of -log softmax, shared evenly by the positives; both (regions, phrases)."""

    def one_way(logits: Tensor, positive: Tensor) -> Tensor:
        shares = positive / positive.sum(1, keepdim=True)
        return -(shares * logits.log_softmax(1)).sum(1).mean()

    return (one_way(logits, positive) + one_way(logits.T, positive.T)) / 2


def render_regions(settings: Pretraining) -> tuple[Tensor, Tensor, np.ndarray, np.ndarray]:
    """Images (B, 3, H, W) in [0, 1]; for R regions their share of each patch (R, N), truths (R, meanings), eye (R,)."""
    images, weights, truths, owners = [], [], [], []
    code = {meaning: i for i, meaning in enumerate(MEANINGS)}
    for index in loops.bar(range(settings.eyes), desc="rendering eyes to pretrain on", unit="eye"):
        eye = render_eye(LOOKS["randomised"], PRETRAINING_STREAM + settings.seed, index, size=(settings.side,) * 2)
        images.append(eye.image)
        for mask, true in regions(eye):
            if not true:
                continue
            shares = patch_shares(mask, settings.patch_size).ravel()
            weights.append(shares / shares.sum())
            truths.append(np.isin(np.arange(len(MEANINGS)), [code[meaning] for meaning in true]))
            owners.append(index)
    return to_batch(images), torch.from_numpy(np.array(weights, np.float32)), np.array(truths), np.array(owners)


def named_right(folder: Path, settings: Pretraining, n_eyes: int = 60) -> pd.DataFrame:
    """How the encoder names single patches of eyes it has not seen: a row a part, with the share named right.

    Only patches that one part fills by more than half are asked; the answer is the nearest of the parts' names."""
    eyes = [
        render_eye(LOOKS["randomised"], PRETRAINING_STREAM - 1 - settings.seed, index, size=(settings.side,) * 2)
        for index in range(n_eyes)
    ]
    images = to_batch([eye.image for eye in eyes])
    said = phrase_maps(folder, images, [f"{part} of the eye" for part in NAMES]).argmax(1).numpy()
    shares = np.stack([[patch_shares(mask, settings.patch_size) for mask in masks(eye).values()] for eye in eyes])
    truth, filled = shares.argmax(1), shares.max(1) > 0.5
    rows = []
    for i, part in enumerate(NAMES):
        answers = said[filled & (truth == i)] == i
        rows.append(
            {"part": part, "patches": len(answers), "named right %": 100 * answers.mean() if len(answers) else np.nan}
        )
    return pd.DataFrame(rows)
