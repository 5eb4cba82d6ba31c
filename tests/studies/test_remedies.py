"""Remedies against what they should be by definition, and real people who are never tested."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_data import write_drawn_eyes

from cgdseg import paths
from cgdseg.config import schema
from cgdseg.data import cache, manifest, splits, stored
from cgdseg.loops import in_parallel
from cgdseg.scoring import tally
from cgdseg.studies.gap import domains, ladder, remedies, tables, words
from cgdseg.studies.gap.remedies import Scored
from cgdseg.studies.scores import evaluation
from cgdseg.training import loop, runs


@pytest.fixture
def cfg(home, tiny_unet) -> schema.Config:
    """Drawn eyes and photographs of twelve people, of whom some may be trained on; one run trained on the drawn."""
    for name, shift in (("Drawn", 0), ("Photos", 40)):
        write_drawn_eyes(home / name, n=14, shift=shift)
    datasets = {
        "Drawn": {"layout": "plain", "root": "Drawn", "domain": "synthetic"},
        "Photos": {"layout": "plain", "root": "Photos", "domain": "real"},
    }
    made = schema.Config(
        name="tiny",
        datasets=datasets,
        conditions={"synthetic": ("Drawn",), "mixed": ("Drawn", "Photos")},
        systems={"unet": tiny_unet},
        training={"epochs": 2, "batch_size": 4, "lr": 1e-2},
        evaluation={"size": (36, 48)},
        gap={"steps": 2, "seeds": 2, "subjects": (0, 2, 99), "permutations": 50},
    )
    eyes, findings = manifest.build_manifest(made, progress=False)
    manifest.save_manifest(made, eyes, findings)
    splits.save_splits(made, splits.make_splits(eyes, made))
    for size in {*made.input_sizes(), made.evaluation.size}:
        cache.build_cache(made, eyes, size, n_workers=1, progress=False)
    run = domains.gap_run(made)
    runs.write_run_card(made, run, loop.train(made, run))
    return made


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (5, 32, 48, 3), np.uint8)


def test_a_histogram_is_matched(pictures):
    dark = (pictures * 0.4).astype(np.uint8)
    match = remedies.histogram_matcher(pictures)
    moved = np.stack([match(image) for image in dark])
    assert np.percentile(moved, [10, 50, 90]) == pytest.approx(np.percentile(pictures, [10, 50, 90]), abs=4)
    assert np.abs(match(pictures[0]).astype(int) - pictures[0]).mean() < 6


def test_fourier_adaptation_moves_low_frequencies_only(pictures):
    same = remedies.fourier_adapter(pictures[:1])(pictures[0])
    assert np.abs(same.astype(int) - pictures[0]).max() <= 1
    dark = (pictures[1] * 0.5).astype(np.uint8)
    moved = remedies.fourier_adapter(pictures)(dark)
    assert moved.mean() == pytest.approx(pictures.mean(), rel=0.05)
    kept = [np.abs(np.fft.fft2(image[..., 0].astype(float)))[10, 10] for image in (dark, moved)]
    assert kept[1] == pytest.approx(kept[0], rel=0.15)  # but for rounding and clipping


def test_the_best_threshold_is_the_best(pictures):
    probs = pictures[..., 0] / np.float32(255)
    truth = probs > 0.62
    best = remedies.best_threshold(probs, truth)
    assert best in tally.THRESHOLDS and 0.55 <= best <= 0.7


def test_zooms_fall_back_into_place(cfg):
    segmenter = runs.segmenter_of(cfg, domains.gap_run(cfg))

    class Brightness(torch.nn.Module):
        def forward(self, images):
            return 8 * (images.mean(1, keepdim=True) - 0.5)

    seeing = replace(segmenter, model=Brightness())
    image = np.zeros((32, 48, 3), np.uint8)
    image[8:20, 10:30] = 255
    size = (64, 96)
    plain = seeing.predict([image], size=size)[0]
    once = remedies.Zoomed(seeing, (1.0,)).predict([image], size=size)[0]
    assert np.abs(once - plain).max() < 1e-3
    often = remedies.Zoomed(seeing, (0.8, 1.0, 1.25, 1.6)).predict([image], size=size)[0]
    assert ((often > 0.5) ^ (plain > 0.5)).mean() < 0.03
    assert not np.array_equal(often, once)


def test_batch_norm_takes_the_statistics_of_other_images(cfg):
    segmenter = runs.segmenter_of(cfg, domains.gap_run(cfg))
    eyes = domains.draw_eyes(cfg, ("train", "val"))
    images = remedies.load_scored(cfg, segmenter, eyes.image_id[eyes.domain == "real"].tolist()).images
    adapted = remedies.with_statistics_of(segmenter, images)
    first = next(m for m in adapted.model.modules() if isinstance(m, torch.nn.BatchNorm2d))
    seen = {}
    hook = first.register_forward_pre_hook(lambda _, inputs: seen.update(x=inputs[0]))
    adapted.predict(list(images))
    hook.remove()
    assert first.running_mean == pytest.approx(seen["x"].mean((0, 2, 3)), abs=1e-5)
    assert first.running_var == pytest.approx(seen["x"].var((0, 2, 3)), rel=1e-3)
    assert not adapted.model.training
    plain = torch.nn.Sequential(torch.nn.Conv2d(3, 1, 1))
    assert not [m for m in plain.modules() if isinstance(m, remedies._BatchNorm)]


def test_remedies_are_scored_like_notebook_4(cfg):
    run, eyes = domains.gap_run(cfg), domains.draw_eyes(cfg)
    found, calibration = remedies.compare_remedies(cfg, run, eyes)
    scores = evaluation.evaluate_run(cfg, run).scores
    both = found[found.remedy == "none"].merge(scores, on="image_id")
    assert len(both) == (eyes.domain == "real").sum() and both.f1_x.tolist() == pytest.approx(both.f1_y.tolist())
    kinds = found.groupby("remedy").looks_at.first()
    assert kinds["batch-norm statistics (training images)"] == "target images"
    assert kinds["best threshold (oracle)"] == "target labels" and kinds["mirrored as well"] == "nothing of the target"
    mixed = cfg.run("unet", "mixed", run.seed)
    runs.write_run_card(cfg, mixed, loop.train(cfg, mixed))
    other = remedies.other_trainings(cfg, run, pd.concat([scores, scores.assign(condition="mixed", f1=0.5)]), eyes)
    assert set(other.remedy) == {"trained on mixed"} and set(other.looks_at) == {"target labels"}
    table = remedies.remedy_changes(pd.concat([found, other])).set_index("remedy")
    assert table.seconds["trained on mixed"] > 0 and table.times["trained on mixed"] == 1
    assert table.change["none"] == 0 and table.times["none"] == 1
    means = found.groupby("remedy").f1.mean()
    assert table.change["mirrored as well"] == pytest.approx(means["mirrored as well"] - means["none"])
    assert means["best threshold (oracle)"] >= means["none"] - 1e-12
    assert "temperature of" in words.read_temperature(calibration)


def test_unlabelled_images_are_not_the_tested_ones_where_there_are_others(cfg):
    segmenter = runs.segmenter_of(cfg, domains.gap_run(cfg))
    images, whose = remedies.unlabelled_images(cfg, segmenter, "Photos")
    tested = domains.draw_eyes(cfg).query("domain == 'real'")
    shown = remedies.load_scored(cfg, segmenter, tested.image_id.tolist()).images
    assert whose == "training" and not {i.tobytes() for i in images} & {i.tobytes() for i in shown}
    alone = cfg.model_copy(update={"conditions": {"synthetic": ("Drawn",)}})
    splits.save_splits(alone, splits.make_splits(stored.load_manifest(alone), alone))
    assert remedies.unlabelled_images(alone, segmenter, "Photos")[1] == "test"


def test_nobody_who_is_tested_is_trained_on(cfg):
    tested = domains.draw_eyes(cfg).query("domain == 'real'")
    plan = ladder.rungs(cfg, tested)
    everybody = set(ladder.people_to_train_on(cfg, tested).subject)
    assert [len(r.people) for r in plan[:3]] == [0, 2, len(everybody)] and len(plan) == 6
    for rung in plan:
        assert not set(rung.people) & set(tested.subject) and not set(rung.image_ids) & set(tested.image_id)
    assert set(plan[1].people) < set(plan[2].people) and plan[1].people != plan[4].people


def test_batches_are_half_real_and_repeat_themselves():
    rows = ladder.batch_rows(10, 4, 8, seed=1, step=3)
    assert sum(row >= 10 for row in rows) == 4 and max(rows) < 14 and len(rows) == 8
    assert rows == ladder.batch_rows(10, 4, 8, 1, 3) != ladder.batch_rows(10, 4, 8, 1, 4)
    assert max(ladder.batch_rows(10, 0, 8, 1, 3)) < 10


def test_the_ladder_is_climbed_once(cfg, monkeypatch):
    run, tested = domains.gap_run(cfg), domains.draw_eyes(cfg).query("domain == 'real'")
    cfg = cfg.model_copy(update={"workers": 1})  # other processes would not see where this test keeps its files
    found = ladder.climb(cfg, run, tested)
    assert len(found) == 6 * len(tested) and found.f1.between(0, 1).all()
    folder = paths.run_dir(runs.segmenter_of(cfg, run).name)
    plan = ladder.rungs(cfg, tested)
    again = ladder.train_on(cfg, run, folder, plan[1])
    mine = found[(found.seed == 0) & (found.people == 2)]
    assert ladder.f1_of_images(cfg, again, tested) == pytest.approx(mine.f1.to_numpy(), abs=1e-9)
    weights = [next(ladder.train_on(cfg, run, folder, r).model.parameters()) for r in plan[:2]]
    assert not torch.equal(*weights)

    monkeypatch.setattr(ladder, "train_on", None)
    assert ladder.climb(cfg, run, tested).equals(found)
    longer = cfg.model_copy(update={"gap": cfg.gap.model_copy(update={"steps": 3})})
    recipes = {recipe for c in (cfg, longer) for recipe in ladder.rung_recipes(c, run, folder, plan, tested)}
    assert len(recipes) == 12

    summed = ladder.summary(found)
    assert summed.groupby("people").seed.nunique().tolist() == [2, 2, 2] and (summed.low <= summed.high).all()
    assert tables.real_people(summed)["people trained on"].tolist() == sorted(set(summed.people))


def climbed(gains: dict[int, float], noise: float = 0.02) -> pd.DataFrame:
    """Scores of 8 people with 4 images each after trainings with k real people, by two seeds."""
    rng, tables = np.random.default_rng(0), []
    base = 0.5 + rng.normal(0, 0.1, 8).repeat(4)
    for k, gain in gains.items():
        for seed in (0, 1):
            rows = {"image_id": [f"i{i}" for i in range(32)], "subject": np.arange(8).repeat(4)}
            f1 = base + gain + noise * rng.normal(size=8).repeat(4)
            tables.append(
                pd.DataFrame(rows).assign(f1=f1, people=k, seed=seed, images=4 * k, seconds=1, label="Photos")
            )
    return pd.concat(tables, ignore_index=True)


def test_people_are_read_against_as_many_steps_without_them():
    """A curve that rises, one that falls and rises, and one of chance alone."""
    rising = ladder.summary(climbed({0: 0.0, 1: 0.12, 5: 0.2}))
    row = rising[rising.people == 5].iloc[0]
    both = ladder.summary(pd.concat([climbed({0: 0.0, 1: 0.1}), climbed({0: 0.0, 1: 0.1}).assign(label="Others")]))
    assert both[both.people == 0]["p (Holm)"].isna().all() and both[both.people == 1]["p (Holm)"].notna().all()
    assert row["change low"] < row.change < row["change high"] and row["p (Holm)"] >= row.p
    text = words._people(rising, 0.05)
    assert "With 5 real people" in text and f"{100 * row.change:+.1f} points" in text and "are 1: " in text
    dipping = words._people(ladder.summary(climbed({0: 0.0, 1: -0.1, 2: 0.15, 5: -0.05})), 0.05)
    assert "are 2: " in dipping and "half" not in dipping
    assert "none can be told" in words._people(ladder.summary(climbed({0: 0.0, 1: 0.0, 5: 0.0}, noise=0.1)), 0.05)
    assert "no real person" in words._people(rising[rising.people == 0], 0.05)


def test_the_best_of_many_remedies_is_judged_as_such():
    """Ten remedies of chance alone: the best by itself is "sure" in many studies, adjusted in few."""
    rng, alone, together = np.random.default_rng(0), 0, 0
    base = pd.DataFrame(
        {"image_id": range(32), "subject": np.arange(8).repeat(4), "label": "Photos", "ms": 1, "seconds": 0}
    )
    for _ in range(60):
        tables = [base.assign(remedy="none", looks_at="target images", f1=0.5)]
        for name in range(10):
            f1 = 0.5 + rng.normal(0, 0.05, 8).repeat(4) + rng.normal(0, 0.02, 32)
            tables.append(base.assign(remedy=f"remedy {name}", looks_at="target images", f1=f1))
        table = remedies.remedy_changes(pd.concat(tables))
        best = table[table.change > 0].sort_values("p").head(1)
        alone, together = alone + (best.low > 0).any(), together + (best["p (Holm)"] < 0.05).any()
    assert alone > 10 and together < 6
    none = ladder.summary(climbed({0: 0.0}))
    chance = table.assign(**{"p (Holm)": 0.4})
    assert "may be chance as the best of 10" in words.read_remedies(chance, none)


def test_scored_images_keep_their_masks(cfg):
    segmenter = runs.segmenter_of(cfg, domains.gap_run(cfg))
    found = remedies.load_scored(cfg, segmenter, domains.draw_eyes(cfg).image_id.tolist())
    assert isinstance(found, Scored) and found.images.shape[1:] == (32, 48, 3) and found.sclera.shape[1:] == (36, 48)


def test_rungs_in_parallel_come_in_order():
    plan = [ladder.Rung(seed, (), ()) for seed in range(5)]
    alone, together = (list(in_parallel(seed_of, plan, n, heavy=True)) for n in (1, 2))
    assert alone == together == [0, 1, 2, 3, 4]


def seed_of(rung: ladder.Rung) -> int:
    return rung.seed
