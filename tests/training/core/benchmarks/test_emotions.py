"""The protocols of emotion read the official layouts; what is none of the seven is left out, and counted."""

from pathlib import Path

import numpy as np
import pytest

from inference.core.attributes import EMOTION
from tests.training.core.benchmarks.sets import contestant, paint
from training.core.benchmarks import ckplus, emotion_folders, fer2013, ferplus
from training.core.benchmarks.contestants import contestant as cold
from training.core.benchmarks.protocol import NotMeasured

ANGRY, HAPPY, NEUTRAL, SURPRISED = (EMOTION.index(name) for name in ("angry", "happy", "neutral", "surprised"))


def level(emotion: int) -> int:
    """The gray that the model takes for this emotion."""
    return round((emotion + 0.5) / 7 * 256)


def fer_line(code: int, usage: str, gray: int) -> str:
    return f"{code},{' '.join([str(gray)] * 48 * 48)},{usage}"


def a_fer2013(folder: Path, lines: list[str]) -> Path:
    (folder / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *lines]) + "\n")
    return folder


def test_fer2013_is_judged_on_privatetest_with_its_own_codes(tmp_path: Path):
    codes = [EMOTION.index(name) for name in fer2013.CODES]
    lines = [fer_line(code, "PrivateTest", level(emotion)) for code, emotion in enumerate(codes)]
    lines += [fer_line(0, "PrivateTest", level(HAPPY)), fer_line(0, "Training", 9), fer_line(0, "PublicTest", 9)]

    found = fer2013.run(a_fer2013(tmp_path, lines), contestant())

    assert found.ours[0].n == 8
    assert found.ours[0].figures["accuracy"].value == 7 / 8
    assert found.ours[0].evaluation.confusion[ANGRY][HAPPY] == 1
    assert found.notes == ("8 faces of PrivateTest, not 3,589",)
    assert str(found.faces).endswith("8 without: whole picture used")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("emotion,pixels,Usage\n0,1 2 3,PrivateTest\n", "3 pixels"),
        ("a,b\n0,1\n", "columns"),
        ("emotion,pixels,Usage\n", "no sample"),
    ],
)
def test_a_table_that_is_not_fer2013_is_not_measured(tmp_path: Path, content: str, reason: str):
    (tmp_path / "fer2013.csv").write_text(content)

    with pytest.raises(NotMeasured, match=reason):
        fer2013.run(tmp_path, contestant())


def votes(**said: int) -> dict[str, int]:
    return {name: said.get(name, 0) for name in ferplus.VOTED}


@pytest.mark.parametrize(
    ("said", "emotion"),
    [
        (votes(happiness=10), HAPPY),
        (votes(happiness=6, neutral=4), HAPPY),
        (votes(happiness=5, neutral=4, sadness=1), HAPPY),  # a single vote is a slip: five of nine
        (votes(happiness=5, neutral=5), None),
        (votes(happiness=4, neutral=3, sadness=3), None),
        (votes(contempt=9, anger=1), None),
        (votes(unknown=8, happiness=2), None),
        (votes(NF=6, happiness=4), None),
        (votes(), None),
    ],
)
def test_an_emotion_is_true_where_more_than_half_say_it(said: dict[str, int], emotion: int | None):
    assert ferplus.majority(said) == emotion


def test_ferplus_in_its_official_files_goes_row_by_row_with_fer2013(tmp_path: Path):
    said = [votes(happiness=10), votes(neutral=9, sadness=1), votes(contempt=10), votes(anger=10)]
    usages = ["PrivateTest", "PrivateTest", "PrivateTest", "Training"]
    a_fer2013(tmp_path, [fer_line(0, usage, level(HAPPY)) for usage in usages])
    lines = ["Usage,Image name," + ",".join(ferplus.VOTED)]
    for number, (usage, one) in enumerate(zip(usages, said, strict=True)):
        lines.append(f"{usage},fer{number}.png," + ",".join(map(str, one.values())))
    (tmp_path / "fer2013new.csv").write_text("\n".join(lines) + "\n")

    found = ferplus.run(tmp_path, contestant())

    assert found.ours[0].n == 2
    assert found.ours[0].figures["accuracy"].value == 0.5
    assert found.ours[0].evaluation.confusion[NEUTRAL][HAPPY] == 1
    assert found.notes[0].startswith("1 faces are left out")
    (tmp_path / "fer2013new.csv").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(NotMeasured, match="do not belong together"):
        ferplus.run(tmp_path, contestant())


def test_ferplus_in_files_says_that_it_is_not_the_official_part(tmp_path: Path):
    lines = ["file," + ",".join(ferplus.VOTED)]
    for name, one in (("a.png", votes(surprise=10)), ("b.png", votes(unknown=10))):
        paint(tmp_path / "images" / name, level(SURPRISED), (48, 48))
        lines.append(f"{name}," + ",".join(map(str, one.values())))
    (tmp_path / "votes.csv").write_text("\n".join(lines) + "\n")

    found = ferplus.run(tmp_path, contestant())

    assert found.ours[0].figures["accuracy"].value == 1
    assert found.notes[0] == "not the official test part: all faces that are there"
    with pytest.raises(NotMeasured, match=r"votes\.csv"):
        ferplus.run(tmp_path / "images", contestant())


@pytest.mark.realdata
def test_real_faces_of_ferplus_are_told_as_their_people_vote(shared_data: Path, tmp_path: Path):
    header, *rows = (shared_data / "ferplus" / "votes.csv").read_text().splitlines()
    chosen = [rows[n] for n in np.random.default_rng(0).permutation(len(rows))[:150]]
    (tmp_path / "votes.csv").write_text("\n".join([header, *chosen]) + "\n")
    (tmp_path / "images").symlink_to(shared_data / "ferplus" / "images")

    found = ferplus.run(tmp_path, cold())

    assert found.faces.found / found.faces.pictures > 0.9
    assert found.ours[0].figures["accuracy"].value > 0.5


def a_ckplus(folder: Path, codes: list[int]) -> Path:
    """A person a sequence: neutral at first, then the emotion."""
    for number, code in enumerate(codes):
        person, stem = f"S{number + 5:03d}", f"S{number + 5:03d}_001_"
        emotion = EMOTION.index({1: "angry", 3: "disgusted", 5: "happy"}.get(code, "surprised"))
        for frame, gray in ((1, level(NEUTRAL)), (2, level(NEUTRAL)), (11, level(emotion))):
            paint(folder / "cohn-kanade-images" / person / "001" / f"{stem}{frame:08d}.png", gray)
        label = folder / "Emotion" / person / "001" / f"{stem}{11:08d}_emotion.txt"
        label.parent.mkdir(parents=True)
        label.write_text(f"   {code}.0000000e+00\n")
    (folder / "Emotion" / "S900" / "001").mkdir(parents=True)  # a sequence without an emotion has no file
    return folder


def test_ckplus_takes_the_last_picture_and_the_first_as_neutral_and_leaves_contempt_out(tmp_path: Path):
    samples, contempt = ckplus.read(a_ckplus(tmp_path, [1, 3, 5, 7, 2]))

    assert contempt == 1
    assert [(s.name[-6:], EMOTION.values[int(s.value)]) for s in samples[:4]] == [
        ("01.png", "neutral"),
        ("11.png", "angry"),
        ("01.png", "neutral"),
        ("11.png", "disgusted"),
    ]
    assert samples[0].fold == samples[1].fold != samples[2].fold


def test_ckplus_is_learnt_from_other_people(tmp_path: Path):
    found = ckplus.run(a_ckplus(tmp_path, [5, 5, 5, 1, 1, 1, 2]), contestant())

    learnt, as_it_is = found.ours
    assert as_it_is.figures["accuracy"].value == 1
    assert learnt.figures["accuracy"].value > 0.6
    assert len(learnt.folds) == 6
    assert learnt.evaluation.groups == 6
    assert "1 sequences of contempt" in found.notes[0]


@pytest.mark.parametrize("told", ["0", "8", "", "happy"])
def test_a_label_that_cannot_be_is_not_measured(tmp_path: Path, told: str):
    label = next(a_ckplus(tmp_path, [5, 1]).glob("Emotion/S005/001/*"))
    label.write_text(told)

    with pytest.raises(NotMeasured, match="from 1 to 7"):
        ckplus.run(tmp_path, contestant())


def test_a_folder_is_the_class_whatever_word_it_has_for_it(tmp_path: Path):
    for folder, emotion in (("Happy", HAPPY), ("happiness", HAPPY), ("anger", ANGRY), ("surprised", SURPRISED)):
        paint(tmp_path / folder / "a.png", level(emotion))
    paint(tmp_path / "contempt" / "a.png", 3)

    found = emotion_folders.run(tmp_path, contestant())

    assert found.ours[0].n == 4
    assert found.ours[0].figures["accuracy"].value == 1
    assert found.notes[0] == "1 pictures in folders of other names are left out"


def test_where_there_is_a_test_folder_only_that_is_judged(tmp_path: Path):
    paint(tmp_path / "train" / "happy" / "a.png", level(HAPPY))
    paint(tmp_path / "test" / "angry" / "b.png", level(ANGRY))

    samples, _ = emotion_folders.read(tmp_path)

    assert [sample.name for sample in samples] == ["test/angry/b.png"]


def test_folders_without_an_emotion_are_not_measured(tmp_path: Path):
    with pytest.raises(NotMeasured, match="called like an emotion"):
        emotion_folders.read(paint(tmp_path / "cats" / "a.png", 1).parents[1])
