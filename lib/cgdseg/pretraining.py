"""A small text-image encoder of our own, in CLIP's form, pretrained by contrast on rendered eyes and phrases on them.

pretrained(settings) -> a folder in the hub's format (weights, config, tokenizer), made when it is missing.
It stands where CLIP stands when no hub is in reach, so that `grounding` has a language to speak."""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import AutoTokenizer, CLIPConfig, CLIPModel, PreTrainedTokenizerFast

from cgdseg import live, paths
from cgdseg.architectures import Pretraining
from cgdseg.config import digest
from cgdseg.eyes import LOOKS, render_eye
from cgdseg.imports import code_digest
from cgdseg.layers import standardise
from cgdseg.memory import keep_freed_memory
from cgdseg.phrases import MEANINGS, NAMES, PHRASES, masks, regions

STREAM = 2_000_003  # keeps these eyes apart from those that segmentation trains on
SPECIAL = ("<pad>", "<unk>", "<start>", "<end>")  # ids 0 to 3


def pretrained(settings: Pretraining) -> Path:
    """The folder of the encoder that `settings` describe; pretrains it first where there is none.

    It appears complete or not at all; a changed recipe, renderer or list of phrases makes another one."""
    folder = paths.encoder_dir(digest([settings.model_dump(), code_digest(["cgdseg.pretraining"])])[:12])
    if not folder.exists():
        n_threads = torch.get_num_threads()
        model, tokenizer = pretrain(settings)
        torch.set_num_threads(n_threads)
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=".part", dir=folder.parent))
        model.save_pretrained(part)
        tokenizer.save_pretrained(part)
        part.chmod(folder.parent.stat().st_mode)  # temporary folders are for their owner's eyes alone
        try:
            os.replace(part, folder)
        except OSError:  # another process was faster, with the same result
            shutil.rmtree(part)
            if not folder.exists():
                raise
    return folder


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
    for _ in live.bar(range(steps), desc="pretraining text encoder", unit="step"):
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
    for index in live.bar(range(settings.eyes), desc="rendering eyes to pretrain on", unit="eye"):
        eye = render_eye(LOOKS["randomised"], STREAM + settings.seed, index, size=(settings.side,) * 2)
        images.append(eye.image)
        for mask, true in regions(eye):
            if not true:
                continue
            shares = patch_shares(mask, settings.patch_size).ravel()
            weights.append(shares / shares.sum())
            truths.append(np.isin(np.arange(len(MEANINGS)), [code[meaning] for meaning in true]))
            owners.append(index)
    return to_batch(images), torch.from_numpy(np.array(weights, np.float32)), np.array(truths), np.array(owners)


def to_batch(images: list[np.ndarray]) -> Tensor:
    """B images (H, W, 3) uint8 -> (B, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255


def patch_shares(mask: np.ndarray, patch: int) -> np.ndarray:
    """(H, W) bool -> how much of each patch it fills (H / patch, W / patch)."""
    height, width = mask.shape
    return mask.reshape(height // patch, patch, width // patch, patch).mean((1, 3))


def patch_features(model: CLIPModel, images: Tensor) -> Tensor:
    """Images (B, 3, H, W) in [0, 1] at the encoder's side -> patches (B, N, D) in the space of the phrases."""
    states = model.vision_model(pixel_values=standardise(images)).last_hidden_state[:, 1:]
    return model.visual_projection(model.vision_model.post_layernorm(states))


def phrase_features(model: CLIPModel, tokenizer: PreTrainedTokenizerFast, phrases: list[str]) -> Tensor:
    """K phrases -> (K, D) unit vectors."""
    output = model.text_model(**tokenizer(list(phrases), padding=True, return_tensors="pt"))
    return F.normalize(model.text_projection(output.pooler_output), dim=-1)


@torch.inference_mode()
def phrase_maps(folder: Path, images: Tensor, phrases: list[str]) -> Tensor:
    """Cosine of every patch with every phrase: images (B, 3, H, W) in [0, 1] of any size -> (B, K, h, w)."""
    model, tokenizer = CLIPModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    shape = model.config.vision_config
    images = F.interpolate(images, size=(shape.image_size,) * 2, mode="bilinear", antialias=True)
    patches = F.normalize(patch_features(model, images), dim=-1)
    n = shape.image_size // shape.patch_size
    return (patches @ phrase_features(model, tokenizer, phrases).T).transpose(1, 2).unflatten(2, (n, n))


def named_right(folder: Path, settings: Pretraining, n_eyes: int = 60) -> pd.DataFrame:
    """How the encoder names single patches of eyes it has not seen: a row a part, with the share named right.

    Only patches that one part fills by more than half are asked; the answer is the nearest of the parts' names."""
    eyes = [
        render_eye(LOOKS["randomised"], STREAM - 1 - settings.seed, index, size=(settings.side,) * 2)
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


def clip_config(settings: Pretraining, vocabulary: int) -> CLIPConfig:
    shape = {"hidden_size": settings.width, "intermediate_size": 4 * settings.width, "num_attention_heads": 4}
    ends = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    text = shape | ends | {"vocab_size": vocabulary, "num_hidden_layers": settings.text_layers}
    vision = {"num_hidden_layers": settings.layers, "image_size": settings.side, "patch_size": settings.patch_size}
    projection = {"projection_dim": settings.width}
    return CLIPConfig(text_config=text | projection, vision_config=shape | vision | projection, **projection)


def phrase_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE learned on all phrases: any text has tokens, known words have one."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator((phrase for said in PHRASES.values() for phrase in said), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 2), ("<end>", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "bos_token", "eos_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=77, **names)
