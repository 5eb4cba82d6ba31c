"""An encoder pretrained on phrases about rendered eyes takes CLIP's place."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from cgdseg import files
from cgdseg.config import Pretraining, TextEncoder, load_config
from cgdseg.eyes.phrases import MEANINGS, NAMES
from cgdseg.models import small_clip as pretraining
from cgdseg.models.text import encode_prompts, encode_tokens
from cgdseg.training import small_clip

TINY = Pretraining(eyes=60, epochs=1, batch_size=10, side=48, width=16, layers=1, text_layers=1)


def test_contrast_is_infonce_with_one_positive_and_shares_several():
    logits = torch.randn(5, 5)
    expected = (
        torch.nn.functional.cross_entropy(logits, torch.arange(5))
        + torch.nn.functional.cross_entropy(logits.T, torch.arange(5))
    ) / 2
    assert torch.isclose(small_clip.contrast(logits, torch.eye(5).bool()), expected)
    same = torch.ones(2, 2)  # two regions of one meaning: what cannot be told apart costs the entropy and no more
    assert torch.isclose(small_clip.contrast(same, same.bool()), torch.tensor(2.0).log())


def test_any_text_has_tokens():
    tokenizer = pretraining.phrase_tokenizer()
    assert tokenizer.unk_token_id not in tokenizer("Zebra, große Äpfel; 7!").input_ids
    assert tokenizer("sclera").input_ids[0] == 2 and tokenizer("sclera").input_ids[-1] == 3
    assert tokenizer.decode(tokenizer("the white of the eye").input_ids[1:-1]).strip() == "the white of the eye"


def test_an_encoder_is_made_once_and_read_as_clip_is(home, monkeypatch):
    text = TextEncoder(source="rendered", pretraining=TINY)
    with pytest.raises(FileNotFoundError, match="run cgdseg text-encoder"):
        encode_prompts(text)  # whoever asks for vectors trains nothing
    folder = small_clip.pretrained(TINY)
    prompts = encode_prompts(text)
    assert prompts.shape == (4, 16) and torch.allclose(prompts.norm(dim=1), torch.ones(4))
    monkeypatch.setattr(small_clip, "pretrain", lambda settings: pytest.fail("it was there"))
    assert small_clip.pretrained(TINY) == folder == pretraining.found_encoder(TINY)
    assert torch.equal(prompts, encode_prompts(TextEncoder(source=str(folder), revision=None)))
    assert encode_tokens(text).shape[1] == 16
    assert AutoTokenizer.from_pretrained(folder)("eye").input_ids
    maps = pretraining.phrase_maps(folder, torch.rand(2, 3, 30, 40), ["sclera", "iris of the eye", "skin"])
    assert maps.shape == (2, 3, 6, 6) and maps.abs().max() <= 1 + 1e-5


def test_the_same_settings_give_the_same_weights():
    first, second = (small_clip.pretrain(TINY)[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_contrast_teaches_which_phrase_belongs_to_a_region():
    settings = TINY.model_copy(update={"eyes": 150, "epochs": 8, "width": 32, "lr": 5e-3})
    model, tokenizer = small_clip.pretrain(settings)
    images, weights, truths, owners = small_clip.render_regions(settings.model_copy(update={"eyes": 20, "seed": 1}))
    with torch.no_grad():
        seen = (pretraining.patch_features(model, images)[owners] * weights[..., None]).sum(1)
        said = pretraining.phrase_features(model, tokenizer, [f"{part} of the eye" for part in NAMES])
        answers = (torch.nn.functional.normalize(seen, dim=1) @ said.T).argmax(1).numpy()
    true = np.stack([truths[:, MEANINGS.index(part)] for part in NAMES], axis=1)
    of_a_part = true.any(1)
    assert (true[of_a_part].argmax(1) == answers[of_a_part]).mean() > 3 / len(NAMES)


def test_a_config_asks_for_its_encoders():
    demo = load_config("demo")
    assert demo.text_encoders() == [demo.systems["cgdseg_scratch"].text.pretraining]
    assert [bool(demo.text_encoders(run)) for run in demo.runs()] == [r.system == "cgdseg_scratch" for r in demo.runs()]
    assert not load_config("smoke").text_encoders()


def test_one_process_makes_an_encoder_for_all_that_wait(home, monkeypatch):
    """Eight processes of torchrun must not train eight of them, nor swap one away under its readers."""
    made, pretrain = [], small_clip.pretrain
    monkeypatch.setattr(small_clip, "pretrain", lambda settings: made.append(settings) or pretrain(settings))
    folder = pretraining.encoder_folder(TINY)
    with files.lock(folder.with_name(f".{folder.name}.lock"), "the text encoder"):
        # locks of one process do not exclude each other, so another one asks
        asked = "from cgdseg.training import small_clip as s; s.PATIENCE_S = 0.1; s.pretrained(s.Pretraining(**{}))"
        command = [sys.executable, "-c", asked.format(TINY.model_dump())]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"CGDSEG_HOME": str(home)})
        assert "the text encoder" in done.stderr and "is in the hands of process" in done.stderr
    assert small_clip.pretrained(TINY) == small_clip.pretrained(TINY) == folder and made == [TINY]
