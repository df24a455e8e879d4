"""Pairs are read as the sets hand them out, and no threshold has seen the pairs that it is used on."""

from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.shared_data import picture
from tests.training.core.benchmarks.sets import contestant, paint, portrait
from training.core.benchmarks import cacd_vs, lfw
from training.core.benchmarks.contestants import contestant as cold
from training.core.benchmarks.protocol import NotMeasured
from training.core.benchmarks.verification import best_threshold, right_pairs, verify


def an_lfw(folder: Path, lines: list[str], header: str = "2\t1") -> Path:
    (folder / "lfw-deepfunneled").mkdir(parents=True)
    (folder / "pairs.txt").write_text("\n".join([header, *lines]) + "\n")
    return folder


LINES = ["Ann_Lee\t1\t2", "Ann_Lee\t1\tBo_Li\t1", "Bo_Li\t1\t2", "Cy_Ray\t1\tBo_Li\t2"]


def test_pairs_are_read_fold_by_fold_the_same_ones_first(tmp_path: Path):
    found = lfw.read(an_lfw(tmp_path, LINES))

    assert [(pair.same, pair.fold, pair.person) for pair in found] == [
        (True, 0, "Ann_Lee"),
        (False, 0, "Ann_Lee"),
        (True, 1, "Bo_Li"),
        (False, 1, "Cy_Ray"),
    ]
    assert found[3].other == tmp_path / "lfw-deepfunneled/Bo_Li/Bo_Li_0002.jpg"


@pytest.mark.parametrize(
    ("header", "lines", "reason"),
    [
        ("10\t300", LINES, "promises 6000 pairs and has 4"),
        ("pairs", LINES, "begins with"),
        ("2\t1", ["a b", *LINES[1:]], "words"),
    ],
)
def test_a_table_that_is_not_view_2_is_not_measured(tmp_path: Path, header: str, lines: list[str], reason: str):
    with pytest.raises(NotMeasured, match=reason):
        lfw.read(an_lfw(tmp_path, lines, header))


def test_an_absent_lfw_is_not_measured(tmp_path: Path):
    with pytest.raises(NotMeasured, match=r"pairs\.txt"):
        lfw.read(tmp_path)


def test_a_missing_picture_is_not_measured_and_named(tmp_path: Path):
    with pytest.raises(NotMeasured, match=r"pictures are missing, .*Ann_Lee_0001"):
        lfw.run(an_lfw(tmp_path, LINES), contestant())


def test_lfw_on_drawn_people_says_that_it_is_not_the_whole(tmp_path: Path):
    folder = an_lfw(tmp_path, LINES)
    for person, name in enumerate(("Ann_Lee", "Bo_Li", "Cy_Ray")):
        for photo in (1, 2):
            portrait(folder / "lfw-deepfunneled" / name / f"{name}_{photo:04d}.jpg", person, photo)
    paint(folder / "lfw-deepfunneled/Cy_Ray/Cy_Ray_0001.jpg", 120, (200, 200))

    found = lfw.run(folder, contestant())

    assert (found.faces.pictures, found.faces.found) == (5, 4)
    assert "like nobody" in str(found.faces)
    assert found.notes[0].startswith("2 of 10 folds")
    figure = found.ours[0].figures["accuracy"]
    folds = [fold["accuracy"] for fold in found.ours[0].folds]
    assert figure.value == np.mean(folds)
    assert figure.spread == pytest.approx(np.std(folds, ddof=1) / np.sqrt(2))
    assert figure.spread_is == "standard error over folds"
    assert found.scores["different"][1] == 0  # one of the two faces was not found


def test_the_best_threshold_lies_in_the_best_gap():
    cosines, same = np.array([0.1, 0.2, 0.3, 0.6, 0.7, 0.5]), np.array([False, False, True, True, True, False])

    # Cutting between 0.5 and 0.6 errs once (0.3), as between 0.2 and 0.3 (0.5): the first of the best is taken.
    assert best_threshold(cosines, same) == pytest.approx(0.25)
    assert best_threshold(np.array([0.3, 0.4]), np.array([True, True])) < 0.3
    assert best_threshold(np.array([0.3, 0.4]), np.array([False, False])) > 0.4


def test_no_cut_goes_through_equal_cosines():
    cosines, same = np.array([0.0, 0.0, 0.0, 0.5]), np.array([True, False, False, True])

    assert best_threshold(cosines, same) == pytest.approx(0.25)


def test_a_fold_is_judged_by_the_threshold_of_the_others():
    cosines = np.array([0.1, 0.3, 0.5, 0.7])
    same, fold = np.array([False, True, False, True]), np.array([0, 0, 1, 1])

    # Fold 0 teaches 0.2, by which 0.5 and 0.7 are both "same"; fold 1 teaches 0.6, by which 0.1 and 0.3 are not.
    assert right_pairs(cosines, same, fold).tolist() == [True, False, False, True]


def test_one_fold_alone_has_no_threshold(tmp_path: Path):
    with pytest.raises(NotMeasured, match="other folds"):
        verify(contestant(), lfw.read(an_lfw(tmp_path, LINES[:2], "1\t1")))


def test_cacd_vs_has_two_hundred_of_one_person_first_in_each_fold(tmp_path: Path):
    paint(tmp_path / "CACD_VS" / "0000_0.jpg", 10)

    found = cacd_vs.read(tmp_path)

    assert len(found) == 4_000
    assert [(found[n].same, found[n].fold) for n in (0, 199, 200, 399, 400, 3_999)] == [
        (True, 0),
        (True, 0),
        (False, 0),
        (False, 0),
        (True, 1),
        (False, 9),
    ]
    assert found[400].other == tmp_path / "CACD_VS" / "0400_1.jpg"
    with pytest.raises(NotMeasured, match="7999 of its 8000 pictures are missing"):
        cacd_vs.run(tmp_path, contestant())


def test_an_absent_cacd_vs_is_not_measured(tmp_path: Path):
    with pytest.raises(NotMeasured, match="0000_0"):
        cacd_vs.read(tmp_path)


@pytest.mark.realdata
def test_forty_real_pairs_are_told_apart(shared_data: Path, tmp_path: Path):
    # The whole of both folds is a benchmark; here 20 pairs of each, in the official layout.
    header, *lines = (shared_data / "lfw" / "pairs.txt").read_text().splitlines()
    assert header == "2\t300"
    chosen = [line for start in (0, 300, 600, 900) for line in lines[start : start + 10]]
    (tmp_path / "pairs.txt").write_text("\n".join(["2\t10", *chosen]))
    (tmp_path / "lfw-deepfunneled").symlink_to(shared_data / "lfw" / "lfw-deepfunneled")
    assert picture(lfw.read(tmp_path)[0].one).shape == (250, 250, 3)

    found = lfw.run(tmp_path, cold())

    assert found.ours[0].figures["accuracy"].value >= 0.9
    assert found.ours[0].n == 40
