"""Training: what is resumed equals what was never interrupted; what is finished is not done again."""

import shutil
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from cgdseg.config import StandIn, Training, load_config
from cgdseg.data import cache, splits, stored
from cgdseg.data.batches import EpochSampler, RenderedEyes, first_entries
from cgdseg.data.stored import load_manifest
from cgdseg.models import registry
from cgdseg.models import weights as checkpoints
from cgdseg.models.weights import read_run
from cgdseg.studies import training as tables
from cgdseg.training import loop
from cgdseg.training import session as training_session
from cgdseg.training.loop import train
from cgdseg.training.objectives import Segmentation
from cgdseg.training.runs import run_folder
from cgdseg.training.session import optimizer_for

COMPARED = ["epoch", "train_loss", "val_loss", "val_f1", "val_iou", "val_mae", "val_f1_pooled", "lr"]


def with_training(cfg, **changes):
    return cfg.model_copy(update={"training": cfg.training.model_copy(update=changes)})


def weights(cfg, run):
    return checkpoints.load(run_folder(cfg, run) / "best.safetensors")[0]


@pytest.fixture
def run(tiny_config):
    return tiny_config.runs()[0]


@pytest.mark.parametrize(("system", "changes"), [("cgdseg", {}), ("unet", {}), ("unet", {"ema": 0.8, "accumulate": 2})])
def test_resumed_equals_uninterrupted(tiny_config, system, changes, tmp_path):
    tiny_config = with_training(tiny_config, **changes)
    run = tiny_config.run(system, "synthetic", 42)
    whole = train(tiny_config, run)
    expected = weights(tiny_config, run)
    run_folder(tiny_config, run).rename(tmp_path / "whole")
    for stop in (1, 2):
        train(tiny_config, run, stop_after=stop)
        assert read_run(run_folder(tiny_config, run)) is None
    resumed = train(tiny_config, run)
    pd.testing.assert_frame_equal(whole[COMPARED], resumed[COMPARED], check_exact=True)
    assert all(torch.equal(expected[name], tensor) for name, tensor in weights(tiny_config, run).items())


def test_a_finished_run_is_not_trained_again(tiny_config, run, monkeypatch):
    first = train(tiny_config, run)
    monkeypatch.setattr(loop, "_train_epoch", lambda *_: pytest.fail("trained again"))
    pd.testing.assert_frame_equal(first, train(tiny_config, run))


def test_a_changed_mask_trains_anew(tiny_config, run, monkeypatch):
    train(tiny_config, run)
    before = read_run(run_folder(tiny_config, run))["fingerprint"]
    manifest = load_manifest(tiny_config)
    manifest.loc[manifest.dataset == "Drawn", "mask_sha256"] = "other"
    monkeypatch.setattr(loop, "load_manifest", lambda _: manifest)
    monkeypatch.setattr(loop, "open_cache", lambda cfg, size, opened=cache.open_cache: opened(cfg, size))
    train(tiny_config, run)
    assert read_run(run_folder(tiny_config, run))["fingerprint"] != before


def test_a_test_only_dataset_changes_no_fingerprint(tiny_config, run, monkeypatch):
    parts = {part: stored.part_ids(tiny_config, "synthetic", part) for part in ("train", "val")}
    before = loop.training_fingerprint(tiny_config, run, parts)
    manifest = load_manifest(tiny_config)
    manifest.loc[manifest.dataset == "Photos", "mask_sha256"] = "other"
    monkeypatch.setattr(loop, "load_manifest", lambda _: manifest)
    assert loop.training_fingerprint(tiny_config, run, parts) == before


def test_a_broken_checkpoint_falls_back_one_epoch(tiny_config, run):
    expected = train(tiny_config, run)
    for path in [*run_folder(tiny_config, run).rglob("*.*")]:
        path.unlink()
    train(tiny_config, run, stop_after=2)
    newest = checkpoints.epoch_path(run_folder(tiny_config, run) / "checkpoints", 2)
    newest.write_bytes(newest.read_bytes()[:-10])
    with pytest.warns(UserWarning, match="falling back"):
        resumed = train(tiny_config, run)
    pd.testing.assert_frame_equal(expected[COMPARED], resumed[COMPARED], check_exact=True)


def test_it_learns_the_drawn_eyes(tiny_config):
    cfg = with_training(tiny_config, epochs=25, augment="none")
    history = train(cfg, cfg.run("unet", "synthetic", 42))
    assert history.val_f1.max() > 0.8 and history.train_loss.iloc[-1] < 0.6 * history.train_loss.iloc[0]


@pytest.mark.parametrize(
    "change",
    [
        {"augment": "none"},
        {"augment": "upright"},
        {"lr": 2e-2},
        {"weight_decay": 0.5},
        {"bce_weight": 0.0},
        {"clip_norm": 1e-3},
        {"accumulate": 2},
        {"ema": 0.5},
    ],
)
def test_every_switch_changes_the_weights(tiny_config, run, change):
    train(tiny_config, run)
    other = with_training(tiny_config, **change)
    train(other, run)
    ours, theirs = weights(tiny_config, run), weights(other, run)
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler on a CPU")
def test_a_compiled_training_learns_the_same(tiny_config):
    run = tiny_config.run("unet", "synthetic", 42)
    eager = train(tiny_config, run)
    compiled = train(with_training(tiny_config, compile=True), run)
    assert np.allclose(eager.train_loss, compiled.train_loss, rtol=1e-3)


def test_averaged_weights_are_what_the_formula_says(tiny_unet):
    model = registry.build_system(tiny_unet)
    averaged = training_session.averaged_model(model, Training(ema=0.9))
    expected = None
    for _ in range(3):
        with torch.no_grad():
            for p in model.parameters():
                p.add_(torch.randn_like(p))
        averaged.update_parameters(model)
        now = model.head.weight.detach().clone()
        expected = now if expected is None else 0.9 * expected + 0.1 * now
    assert torch.allclose(averaged.module.head.weight, expected, atol=1e-6)
    assert training_session.averaged_model(model, Training()) is None


def test_patience_ends_a_training_that_no_longer_improves(tiny_config, run, monkeypatch):
    scores = iter([0.1, 0.5, 0.4, 0.3, 0.9])
    scored = Segmentation.scores
    monkeypatch.setattr(Segmentation, "scores", lambda *words: scored(*words) | {"val_f1": next(scores)})
    cfg = with_training(tiny_config, epochs=5, patience=2)
    history = train(cfg, run)
    assert history.val_f1.tolist() == [0.1, 0.5, 0.4, 0.3]
    assert read_run(run_folder(cfg, run)) is not None


def test_a_diverging_loss_stops_and_keeps_the_last_good_checkpoint(tiny_config, run, monkeypatch):
    train(tiny_config, run, stop_after=1)
    monkeypatch.setattr(Segmentation, "loss", lambda self, logits, *_: logits.sum() * float("nan"))
    with pytest.raises(FloatingPointError, match="lower training.lr"):
        train(tiny_config, run)
    assert checkpoints.load_newest(run_folder(tiny_config, run) / "checkpoints")[1]["epoch"] == 1


def test_several_gpus_share_the_statistics_of_a_batch(tiny_unet):
    """Without a second GPU: what is built there, and that its checkpoints fit one process."""
    models = {}
    for n, device in ((1, "cuda"), (2, "cuda"), (2, "cpu")):
        accelerator = SimpleNamespace(main_process_first=nullcontext, num_processes=n, device=torch.device(device))
        models[n, device] = training_session.new_learner(
            accelerator, Segmentation(tiny_unet, Training()), Training(ema=0.9), seed=0
        )
    kinds = {key: {type(m) for m in learner.kept.modules()} for key, learner in models.items()}
    assert nn.SyncBatchNorm in kinds[2, "cuda"] and nn.BatchNorm2d not in kinds[2, "cuda"]
    assert nn.SyncBatchNorm not in kinds[1, "cuda"] | kinds[2, "cpu"]
    checkpoints.load_model(models[1, "cuda"].model, checkpoints.model_tensors(models[2, "cuda"].model))


def test_gradients_that_overflow_skip_a_step(tiny_unet, monkeypatch):
    """As in fp16 on CUDA, with a scaler for the CPU: only a loss that is itself not finite ends a training."""
    settings = Training(epochs=1)
    accelerator = training_session.start_accelerator(settings)
    monkeypatch.setattr(accelerator.state, "_mixed_precision", "fp16")
    accelerator.native_amp, accelerator.scaler = True, torch.amp.GradScaler("cpu", init_scale=2.0**40)
    objective = Segmentation(tiny_unet, settings)
    learner = training_session.new_learner(accelerator, objective, settings, seed=0)
    session = training_session.open_session(accelerator, learner, objective, settings)
    batch = {"images": torch.randint(256, (2, 3, 32, 48), dtype=torch.uint8), "labels": torch.ones(2, 32, 48)}
    before = learner.model.head.weight.detach().clone()
    for step in range(60):
        assert torch.isfinite(training_session.train_step(session, batch, f"step {step}"))
        assert step or torch.equal(learner.model.head.weight, before)
    assert not torch.equal(learner.model.head.weight, before) and learner.model.head.weight.isfinite().all()


def test_adapters_have_their_own_rate(tiny_config, tiny_cgdseg):
    model = registry.build_system(tiny_cgdseg)
    optimizer = optimizer_for(model, Training())
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    named = {name: rates[id(p)] for name, p in model.named_parameters() if p.requires_grad}
    assert {rate for name, rate in named.items() if "lora_" in name} == {1e-5}
    assert {rate for name, rate in named.items() if "lora_" not in name} == {1e-4}
    assert all(group["weight_decay"] == 1e-4 and group["betas"] == (0.9, 0.999) for group in optimizer.param_groups)


def test_the_cosine_schedule_ends_at_its_floor():
    optimizer = torch.optim.AdamW(nn.Linear(1, 1).parameters(), lr=1e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 70, Training().min_lr)
    rates = []
    for _ in range(70):
        optimizer.step()
        scheduler.step()
        rates.append(scheduler.get_last_lr()[0])
    t = np.arange(1, 71)
    assert np.allclose(rates, 1e-6 + 0.5 * (1e-4 - 1e-6) * (1 + np.cos(np.pi * t / 70)), rtol=1e-9)
    assert rates[-1] == pytest.approx(1e-6)


def test_each_epoch_visits_every_entry_in_its_own_order():
    sampler = EpochSampler(50, seed=1)
    orders = []
    for epoch in (1, 2, 1):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    assert sorted(orders[0]) == list(range(50)) and orders[0] == orders[2] != orders[1]


def test_an_epoch_may_draw_fewer_entries_or_several_passes():
    fewer, more = EpochSampler(50, 1, drawn=20), EpochSampler(50, 1, drawn=120)
    assert len(set(fewer)) == len(fewer) == 20 and len(set(more)) == len(more) == 120  # every position is another one
    entries = np.bincount(np.array(list(more)) % 50)
    assert set(entries) == {2, 3} and list(more)[:50] == list(EpochSampler(50, 1))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_conditions_of_any_size_take_the_same_steps(tiny_config, accumulate):
    cfg = with_training(tiny_config, steps=6, epochs=3, accumulate=accumulate)
    few = cfg.model_copy(update={"splits": cfg.splits.model_copy(update={"val_fraction": 0.7})})
    found = []
    for each in (cfg, few):
        splits.save_splits(each, splits.make_splits(load_manifest(each), each))
        found.append(train(each, each.runs()[0])[["epoch", "steps", "images"]])
    assert found[0].equals(found[1]) and found[0].steps.tolist() == [2, 2, 2]
    assert found[0].images.tolist() == [2 * accumulate * cfg.training.batch_size] * 3
    streamed = streaming(cfg)
    streamed = with_training(streamed, epochs=3)
    assert streamed.streamed(streamed.runs()[0]) == 2 * accumulate * cfg.training.batch_size
    with pytest.raises(ValueError, match="a multiple of the 4 training.epochs"):
        Training(steps=6, epochs=4)


def test_a_page_says_how_many_steps_a_training_takes(tiny_config, run):
    """The slides' two conditions: 312 and 686 batches an epoch, 70 times, 2.2-fold apart."""
    cfg = load_config("ssbc2026")
    for condition, entries, steps in (
        ("synthetic", 10_000, "70 × 312 = 21,840"),
        ("mixed", 21_976, "70 × 686 = 48,020"),
    ):
        parts = pd.DataFrame({"part": ["train"], "entries": [entries]})
        assert steps in tables.read_steps(cfg, cfg.run("cgdseg", condition, 42), parts)
    matched = with_training(tiny_config, steps=6, epochs=3)
    own, history = tables.run_parts(matched, run), train(matched, run)
    words = tables.read_steps(matched, run, own)
    assert f"= {history.steps.sum()} optimiser steps" in words and f"sees {history.images.sum()} images" in words


def streaming(cfg):
    """The tiny config with its synthetic set taken for a stand-in, and eyes rendered as they are needed."""
    drawn = cfg.datasets["Drawn"].model_copy(update={"stand_in": StandIn(look="randomised", n_images=12)})
    cfg = cfg.model_copy(update={"datasets": {**cfg.datasets, "Drawn": drawn}})
    return with_training(cfg, stream={"synthetic": 8}, epochs=2)


def test_streamed_eyes_are_new_each_epoch_and_the_same_each_time(tiny_config, run):
    cfg = streaming(tiny_config)
    eyes = RenderedEyes(cfg, run)
    seen = []
    for epoch in (1, 2, 1):
        eyes.set_epoch(epoch)
        seen.append(torch.stack([eyes[i]["images"] for i in range(len(eyes))]))
    assert torch.equal(seen[0], seen[2]) and not torch.equal(seen[0], seen[1])
    assert len({image.numpy().tobytes() for image in torch.cat(seen[:2])}) == 16


@pytest.mark.parametrize("streamed", [False, True])
def test_the_entries_on_show_are_those_that_training_draws_first(tiny_config, run, streamed, monkeypatch):
    cfg, batches, step = streaming(tiny_config) if streamed else tiny_config, [], training_session.train_step
    monkeypatch.setattr(loop, "train_step", lambda *words: batches.append(words[1]) or step(*words))
    train(cfg, run, stop_after=1)
    shown = first_entries(cfg, run, 4)
    assert (np.stack([image for image, _ in shown]).transpose(0, 3, 1, 2) == batches[0]["images"].numpy()).all()
    assert (np.stack([labels for _, labels in shown]) == batches[0]["labels"].numpy()).all()


def test_a_streamed_training_resumes_too(tiny_config, run):
    cfg = streaming(tiny_config)
    whole = train(cfg, run)
    expected = weights(cfg, run)
    for path in run_folder(cfg, run).rglob("*.*"):
        path.unlink()
    train(cfg, run, stop_after=1)
    pd.testing.assert_frame_equal(whole[COMPARED], train(cfg, run)[COMPARED], check_exact=True)
    assert all(torch.equal(expected[name], tensor) for name, tensor in weights(cfg, run).items())


def test_a_set_smaller_than_a_batch_is_one_batch(tiny_config, run):
    history = train(with_training(tiny_config, batch_size=64, epochs=1), run)
    assert np.isfinite(history.train_loss).all()


def test_streaming_needs_a_stand_in(tiny_config, run):
    with pytest.raises(ValueError, match="no stand-in"):
        train(with_training(tiny_config, stream={"synthetic": 8}), run)


def test_each_class_learns_its_own_map(tiny_config, tiny_unet):
    labels = torch.tensor([[[0, 1], [2, 3]]])
    objective = Segmentation(tiny_unet.model_copy(update={"classes": ("sclera", "iris", "pupil")}), Training())
    masks = objective.masks({"labels": labels})
    assert masks.shape == (1, 3, 2, 2) and masks.sum() == 3
    assert [masks[0, k].nonzero().tolist() for k in range(3)] == [[[0, 1]], [[1, 0]], [[1, 1]]]
    batch = {"images": torch.randint(256, (1, 3, 32, 48), dtype=torch.uint8)}
    assert objective.forward(objective.build(), batch).shape == (1, 3, 32, 48)


def test_damaged_weights_are_trained_again_and_an_old_run_is_kept_aside(tiny_config, run):
    train(tiny_config, run)
    folder, expected = run_folder(tiny_config, run), weights(tiny_config, run)
    (folder / "best.safetensors").write_bytes(b"damaged")
    train(tiny_config, run)
    assert all(torch.equal(expected[name], tensor) for name, tensor in weights(tiny_config, run).items())
    assert (folder.with_name(f"{folder.name}.previous") / "best.safetensors").read_bytes() == b"damaged"
    (folder / "history.jsonl").unlink()
    assert len(train(tiny_config, run)) == tiny_config.training.epochs


def test_the_table_of_parts_tells_streamed_eyes(tiny_config, run):
    cfg = streaming(tiny_config)
    train = tables.run_parts(cfg, run).set_index("part").loc["train"]
    assert train.dataset == "rendered afresh" and (train.images, train.entries) == (16, 8)
    assert tables.run_parts(tiny_config, run).set_index("part").loc["train"].dataset == "Drawn"
