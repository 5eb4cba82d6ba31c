"""Scores of files: perfect and missing predictions, and people apart."""

import cv2
import numpy as np

from cgdseg.folders.score import score_folders


def test_scores_of_perfect_and_missing_predictions(tiny_config, home):
    truth, found = home / "Photos" / "Masks", home / "found"
    found.mkdir()
    for path in sorted(truth.iterdir())[:-1]:
        cv2.imwrite(str(found / path.name), cv2.imread(str(path)))
    table = score_folders(found, truth)
    assert (table.f1.dropna() == 1).all() and table.f1.notna().sum() == 11
    assert "no prediction" in table[table.f1.isna()].problem.item()


def test_scores_tell_people_apart_who_name_their_images_alike(home):
    white, black = np.full((20, 20), 255, np.uint8), np.zeros((20, 20), np.uint8)
    for folder, anna, bert in (("truth", white, white), ("found", white, black)):
        for person, mask in (("anna", anna), ("bert", bert)):
            (home / folder / person).mkdir(parents=True)
            cv2.imwrite(str(home / folder / person / "1.png"), mask)
    table = score_folders(home / "found", home / "truth").set_index("file").f1
    assert table["anna/1.png"] == 1 and table["bert/1.png"] == 0
    flat = score_folders(home / "found", home / "truth" / "anna")  # no folders to tell them apart
    assert "2 predictions" in flat.problem.item()
