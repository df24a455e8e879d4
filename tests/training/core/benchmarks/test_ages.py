"""The protocols of age and of gender read the official layouts, and learn only from the part that is for learning."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from inference.core.attributes import APPARENT_AGE, GENDER, REAL_AGE
from tests.training.core.benchmarks.sets import BrightnessModel, contestant, paint, portrait
from training.core.benchmarks import adience, fgnet, groups, lap, real_age
from training.core.benchmarks.contestants import contestant as cold
from training.core.benchmarks.protocol import NotMeasured
from training.core.benchmarks.registry import measure

# ---- Adience

HEADER = "user_id\toriginal_image\tface_id\tage\tgender\tx\ty\tdx\tdy\ttilt_ang\tfiducial_yaw_angle\tfiducial_score"


def an_adience(folder: Path, folds: int = 5, name: str = "fold_{}_data.txt", place: str = "faces") -> Path:
    """Two albums a fold, the first of young dark squares and the second of old bright ones."""
    prefix = {"faces": "coarse_tilt_aligned_face", "aligned": "landmark_aligned_face"}[place]
    for fold in range(folds):
        lines = [HEADER]
        for album, (age, gender, level) in enumerate([("(0, 2)", "f", 30), ("(60, 100)", "m", 200)]):
            user = f"{fold}{album}@N00"
            for number in range(3):
                lines.append(f"{user}\t{number}_a_o.jpg\t{7 + number}\t{age}\t{gender}\t0\t0\t9\t9\t0\t0\t50")
                paint(folder / place / user / f"{prefix}.{7 + number}.{number}_a_o.jpg", level + 4 * number)
        (folder / name.format(fold)).write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(
    ("said", "group"),
    [
        *[(f"({low}, {min(high, 100)})", n) for n, (low, high) in enumerate(adience.GROUPS.spans)],
        *[("(8, 12)", 2), ("(27, 32)", 4), ("(38, 42)", 5), ("(38, 48)", 5), ("35", 5), ("2", 0), ("13", 2), ("22", 3)],
        *[("23", 4), ("45", 5), ("46", 6), ("55", 6), ("57", 7), ("None", None), ("", None), ("(8, 23)", None)],
    ],
)
def test_every_label_of_adience_means_a_group_or_is_not_counted(said: str, group: int | None):
    assert adience.group_of(said) == group


def test_adience_age_is_told_by_a_network_that_has_not_seen_the_fold(tmp_path: Path):
    found = adience.run_age(an_adience(tmp_path), contestant())

    learnt, as_it_is = found.ours
    assert "linear head on colours" in learnt.method
    assert learnt.figures["exact"].value == 1
    assert learnt.figures["exact"].spread == 0
    assert learnt.figures["exact"].spread_is == "sd over folds"
    assert len(learnt.folds) == 5
    assert (learnt.n, as_it_is.n) == (30, 30)
    assert as_it_is.figures["1-off"].value < 1  # dark is young to it, but bright no older than 80
    assert found.faces.found == 0
    assert found.notes == ("0 faces without a usable label of age are not counted",)


def test_what_holds_in_one_fold_only_is_not_known_there(tmp_path: Path):
    folder = an_adience(tmp_path)
    table = (folder / "fold_0_data.txt").read_text()
    swapped = table.replace("(0, 2)", "old").replace("(60, 100)", "(0, 2)").replace("old", "(60, 100)")
    (folder / "fold_0_data.txt").write_text(swapped)

    learnt = adience.run_age(folder, contestant()).ours[0]

    assert [fold["exact"] for fold in learnt.folds] == [0, 1, 1, 1, 1]
    assert learnt.figures["exact"].value == pytest.approx(0.8)
    assert learnt.figures["exact"].spread == pytest.approx(np.std([0, 1, 1, 1, 1], ddof=1))


def test_adience_gender_is_told_by_one_network_for_all_folds(tmp_path: Path):
    found = adience.run_gender(an_adience(tmp_path), contestant())

    assert found.ours[0].figures["accuracy"].value == 1  # dark is female to it, bright male
    assert set(found.ours[0].evaluation.slices) == {"age", "gender"}


def test_one_fold_of_adience_can_be_judged_but_not_learnt_from(tmp_path: Path):
    folder = an_adience(tmp_path, folds=1, place="aligned")

    with pytest.raises(NotMeasured, match="1 of 5 folds"):
        adience.run_age(folder, contestant())
    assert adience.run_gender(folder, contestant()).notes[0].startswith("1 of 5 folds")


def test_the_frontal_folds_of_adience_are_read_by_their_own_tables(tmp_path: Path):
    an_adience(tmp_path, folds=2, name="fold_frontal_{}_data.txt")

    found = measure("adience-gender-frontal", tmp_path, contestant())

    assert (found.ours[0].n, len(found.ours[0].folds)) == (12, 2)
    assert found.protocol == "adience-gender-frontal"
    assert found.title.endswith("nearly frontal faces only")
    with pytest.raises(NotMeasured, match="fold_0_data"):
        measure("adience-gender", tmp_path, contestant())


@pytest.mark.realdata
def test_the_real_album_of_adience_is_in_the_layout_that_is_read(shared_data: Path):
    samples, folds = adience.read(shared_data / "adience")

    assert folds == [0]
    assert len(samples) == 300
    assert all(isinstance(sample.source, Path) and sample.source.is_file() for sample, _, _ in samples[::25])
    with pytest.raises(NotMeasured, match="1 of 5 folds"):
        adience.run_age(shared_data / "adience", contestant())


# ---- Images of Groups


def a_groups_set(folder: Path) -> Path:
    """Each age a gray; both lists in MATLAB's format, with Windows paths."""
    for file, key, copies in (("eventrain.mat", "trcoll", 4), ("eventest.mat", "tecoll", 2)):
        names, ages = [], []
        for group, age in enumerate(groups.MIDDLES):
            for copy in range(copies):
                name = f"{key}_{age}_{copy}_0@N00.jpg"
                paint(folder / "Fam2a" / name, 22 + 32 * group + copy, (120, 120))
                names.append(f"D:\\images\\Fam2a\\{name}")
                ages.append(age)
        eyes = np.tile([50, 50, 70, 50, 60, 55, 20], (len(names), 1))
        columns = {"name": np.array(names, object), "ageClass": np.array(ages)[:, None], "facePosSize": eyes}
        savemat(folder / file, {key: {**columns, "genClass": np.ones((len(names), 1))}})
    return folder


def test_the_groups_set_is_learnt_from_one_list_and_judged_on_the_other(tmp_path: Path):
    found = groups.run(a_groups_set(tmp_path), contestant())

    assert [row.n for row in found.ours] == [14, 14]
    assert found.notes == ("parts of 28 and 14 faces, not 3500 and 1050",)
    assert found.faces.others == "aligned by the eyes that the set gives"
    assert sum(map(sum, found.ours[0].evaluation.confusion)) == 14
    assert found.ours[0].evaluation.values == ("0–2", "3–7", "8–12", "13–19", "20–36", "37–65", "66+")
    # A square of brightness 22 is 8 years old to the model, and 214 is 84: both ends of the groups by hand.
    table = found.ours[1].evaluation.confusion
    assert table[0] == (0, 0, 2, 0, 0, 0, 0)
    assert table[6] == (0, 0, 0, 0, 0, 0, 2)


def test_groups_without_the_official_lists_are_not_measured(tmp_path: Path):
    paint(tmp_path / "Fam2a" / "a.jpg", 9)

    with pytest.raises(NotMeasured, match=r"eventrain\.mat"):
        groups.run(tmp_path, contestant())


def test_a_list_of_other_columns_is_not_measured(tmp_path: Path):
    savemat(tmp_path / "eventrain.mat", {"trcoll": {"name": "a"}})

    with pytest.raises(NotMeasured, match="does not hold trcoll"):
        groups.read(tmp_path)


# ---- ChaLearn LAP


def a_lap(folder: Path, year: int = 2016, parts: tuple[str, ...] = ("train", "valid", "test")) -> Path:
    names = {
        2016: {"train": "train_gt.csv", "valid": "valid_gt.csv", "test": "test_gt.csv"},
        2015: {"train": "Train.csv", "valid": "Reference.csv", "test": "Test.csv"},
    }[year]
    for part in parts:
        lines = ["image,mean,stdv"] if year == 2016 else []
        for number in range(8):
            age = 10 * number + 5
            name = f"{number:06d}.jpg" if year == 2016 else f"image_{number}.jpg"
            paint(folder / (f"{part}_1" if part == "train" else part) / name, round((age + 0.5) / 101 * 256))
            lines.append((",", ";")[year == 2015].join([name, str(age), "4.0"]))
        (folder / names[part]).write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(("year", "run"), [(2015, lap.run_2015), (2016, lap.run_2016)])
def test_lap_is_judged_on_its_test_part_by_epsilon_and_mean_error(tmp_path: Path, year: int, run):
    found = run(a_lap(tmp_path, year), contestant())

    learnt, as_it_is = found.ours
    assert "fine-tuned on the training part" in learnt.method
    assert as_it_is.figures["MAE"].value == pytest.approx(0, abs=0.3)  # its brightness is its age
    assert as_it_is.figures["ε"].value == pytest.approx(0, abs=0.02)
    assert found.notes == ()
    assert found.columns == ("ε", "MAE")


def test_equal_names_in_several_parts_are_told_apart_by_their_folders(tmp_path: Path):
    training, judged, part = lap.read(a_lap(tmp_path))

    assert part == "test"
    assert {sample.source.parent.name for sample in training} == {"train_1"}
    assert {sample.source.parent.name for sample in judged} == {"test"}


def test_without_labels_of_the_test_part_the_validation_part_is_judged_and_it_is_said(tmp_path: Path):
    found = lap.run_2016(a_lap(tmp_path, parts=("valid",)), contestant())

    assert "validation part" in found.notes[0]
    assert len(found.ours) == 1  # and there is nothing to learn from


def test_a_torn_table_of_lap_is_not_measured(tmp_path: Path):
    folder = a_lap(tmp_path)
    (folder / "test_gt.csv").write_text("image,mean,stdv\n000000.jpg,31\n")

    with pytest.raises(NotMeasured, match="line 2"):
        lap.run_2016(folder, contestant())
    with pytest.raises(NotMeasured, match=r"test_gt\.csv"):
        lap.run_2016(paint(tmp_path / "empty" / "a.jpg", 5).parent, contestant())


# ---- FG-NET


def test_fgnet_leaves_each_person_out(tmp_path: Path):
    for person in range(1, 5):
        for age in (5, 30, 60):
            paint(tmp_path / "images" / f"{person:03d}A{age:02d}.JPG", 20 + 3 * age + person)

    found = fgnet.run(tmp_path, contestant())

    learnt, as_it_is = found.ours
    assert learnt.n == 12
    assert learnt.evaluation.groups == 4
    # By hand: brightness 20 + 3a + p of 256 is the year floor((20 + 3a + p) / 256 * 101) to the model.
    told = [int((20 + 3 * age + person) / 256 * 101) for person in range(1, 5) for age in (5, 30, 60)]
    by_hand = np.mean([abs(year - age) for year, age in zip(told, [5, 30, 60] * 4, strict=True)])
    assert as_it_is.figures["MAE"].value == pytest.approx(by_hand, abs=0.35)  # JPEG moves a gray by one
    assert found.notes == ("4 of 82 people, 12 of 1,002 pictures",)
    assert len(learnt.evaluation.cumulative) == 16


def test_one_person_of_fgnet_is_not_measured(tmp_path: Path):
    paint(tmp_path / "images" / "001A05.JPG", 10)

    with pytest.raises(NotMeasured, match="1 people"):
        fgnet.run(tmp_path, contestant())
    with pytest.raises(NotMeasured, match="images"):
        fgnet.run(tmp_path / "images", contestant())


@pytest.mark.realdata
def test_real_people_of_fgnet_are_told_within_years(shared_data: Path, tmp_path: Path):
    (tmp_path / "images").mkdir()
    for person in ("002", "004", "007", "010"):
        for file in sorted((shared_data / "fgnet" / "images").glob(f"{person}A*.jpg"))[:8]:
            (tmp_path / "images" / file.name).symlink_to(file)

    found = fgnet.run(tmp_path, cold())

    assert found.faces.found >= found.faces.pictures - 1
    assert found.ours[1].figures["MAE"].value < 8


# ---- a table of one's own


def test_real_age_on_a_table_is_off_by_what_it_is_off(tmp_path: Path):
    rows = ["file,age,identity,gender"]
    for number, (age, told) in enumerate([(20, 22), (40, 40), (60, 55)]):
        paint(tmp_path / f"{number}.png", round((told + 0.5) / 101 * 256))
        rows.append(f"{number}.png,{age},p{number},f")
    paint(tmp_path / "nobody.png", 5)
    (tmp_path / "labels.csv").write_text("\n".join([*rows, "nobody.png,,,"]) + "\n")

    found = real_age.run(tmp_path, contestant())

    assert found.ours[0].figures["MAE"].value == pytest.approx((2 + 0 + 5) / 3)
    assert found.ours[0].figures["within 5 years"].value == 1
    assert found.notes[0] == "1 rows without an age are not counted"
    assert "apparent age" in found.notes[1]
    assert found == real_age.run(tmp_path / "labels.csv", contestant())


def test_a_network_of_real_age_goes_before_one_of_apparent_age(tmp_path: Path):
    paint(tmp_path / "a.png", 130)
    (tmp_path / "labels.csv").write_text("file,age\na.png,51\n")
    plain = contestant()
    models = {**plain.models, REAL_AGE.name: BrightnessModel(REAL_AGE)}
    brought = replace(plain, models=models, names={**plain.names, REAL_AGE.name: "own"})

    found = real_age.run(tmp_path, brought)

    assert found.ours[0].method == "own, as it is"
    assert len(found.notes) == 1
    assert brought.of_age(APPARENT_AGE)[1] == "brightness"
    assert GENDER.name in brought.models


def test_a_row_that_cannot_be_used_is_not_measured(tmp_path: Path):
    (tmp_path / "labels.csv").write_text("file,age\ngone.png,51\n")

    with pytest.raises(NotMeasured, match=r"gone\.png"):
        real_age.run(tmp_path, contestant())
    with pytest.raises(NotMeasured, match="no table"):
        real_age.run(portrait(tmp_path / "folder" / "a.jpg", 1, 1).parent, contestant())
