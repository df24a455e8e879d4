"""Labelled sets as they are handed out: every picture is an entry or has its reason; a wrong folder says so."""

from collections import Counter
from pathlib import Path

import pytest

from annotation.core.ages import Age
from annotation.core.datasets.entry import BadDataset, Entry, Unread
from annotation.core.datasets.readers import READERS, read


def laid_out(folder: Path, *files: str, **tables: str) -> Path:
    """A folder with these (empty) pictures and tables; readers look at names only."""
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    for name, text in tables.items():
        (folder / f"{name}.{'txt' if name.startswith('fold_') else 'csv'}").write_text(text)
    return folder


def entries(layout: str, folder: Path) -> dict[str, Entry]:
    return {found.file: found for found in read(layout, folder) if isinstance(found, Entry)}


def unread(layout: str, folder: Path) -> dict[str, str]:
    return {found.file: found.reason for found in read(layout, folder) if isinstance(found, Unread)}


def test_utkface_tells_age_gender_and_race_by_the_name(tmp_path: Path):
    folder = laid_out(tmp_path, "26_1_3_2017.jpg.chip.jpg", "61_1_20170109.jpg", "200_0_0_2017.jpg", "readme.jpg")

    assert entries("utkface", folder) == {
        "26_1_3_2017.jpg.chip.jpg": Entry(
            "26_1_3_2017.jpg.chip.jpg",
            age=Age(26, 27),
            values={"gender": "female"},
            metadata={"race": "indian"},
            cropped=True,
        )
    }
    assert set(unread("utkface", folder)) == {"61_1_20170109.jpg", "200_0_0_2017.jpg", "readme.jpg"}


def test_fgnet_tells_person_and_age_by_the_name(tmp_path: Path):
    found = entries("fgnet", laid_out(tmp_path, "images/002A03.JPG", "images/002A03a.jpg", "images/2A3.jpg"))

    assert found["images/002A03.JPG"] == Entry("images/002A03.JPG", identity="002", age=Age(3, 4))
    assert len(found) == 2
    assert "002A03" in unread("fgnet", tmp_path)["images/2A3.jpg"]


def test_ferplus_votes_are_the_answers_of_ten_people(tmp_path: Path):
    header = "file,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
    lines = "a.jpg,4,0,0,3,1,0,0,1,1,0\nb.jpg,0,9,0,0,0,0,0,0,0,1\n"
    lines += "gone.jpg,1,0,0,0,0,0,0,0,0,0\nc.jpg,x,0,0,0,0,0,0,0,0,0\n"
    folder = laid_out(tmp_path, "images/a.jpg", "images/b.jpg", "images/c.jpg", votes=header + lines)

    found = entries("ferplus", folder)

    assert found["images/a.jpg"].votes == {"emotion": {"neutral": 4, "sad": 3, "angry": 1, "cannot_tell": 2}}
    assert found["images/b.jpg"].votes == {"emotion": {"happy": 9, "not_a_face": 1}}
    assert set(unread("ferplus", folder)) == {"images/gone.jpg", "images/c.jpg"}


def test_the_folder_is_the_person(tmp_path: Path):
    folder = laid_out(tmp_path, "10/1.jpg", "10/2.png", "11/3.webp", "stray.jpg", "10/notes.txt")

    assert {entry.identity for entry in entries("celeba", folder).values()} == {"10", "11"}
    assert list(unread("folders", folder)) == ["stray.jpg"]


def test_lfw_names_are_names(tmp_path: Path):
    found = entries("lfw", laid_out(tmp_path, "lfw-deepfunneled/Ada_Lovelace/Ada_Lovelace_0001.jpg"))

    assert [(entry.file, entry.identity) for entry in found.values()] == [
        ("lfw-deepfunneled/Ada_Lovelace/Ada_Lovelace_0001.jpg", "Ada Lovelace")
    ]


def test_imfdb_keeps_what_it_says_in_other_words(tmp_path: Path):
    header = "file,identity,gender,age_group,expression,pose\n"
    lines = "A/1.jpg,A,FEMALE,YOUNG,SADNESS,LEFT\nA/2.jpg,A,,OLD,DISTRESS,\n"
    found = entries("imfdb", laid_out(tmp_path, "images/A/1.jpg", "images/A/2.jpg", labels=header + lines))

    assert found["images/A/1.jpg"].values == {"gender": "female", "emotion": "sad"}
    assert found["images/A/2.jpg"].values == {}
    assert found["images/A/2.jpg"].metadata == {"age_group": "OLD", "expression": "DISTRESS"}


def test_adience_ages_are_groups_single_years_or_nothing(tmp_path: Path):
    header = "user_id\toriginal_image\tface_id\tage\tgender\tx\n"
    lines = "u\ta.jpg\t5\t(25, 32)\tf\t1\nu\tb.jpg\t6\t35\tu\t1\nu\tc.jpg\t7\tNone\tm\t1\nu\tgone.jpg\t7\tNone\tm\t1\n"
    files = [f"faces/u/coarse_tilt_aligned_face.{face}" for face in ("5.a.jpg", "6.b.jpg", "7.c.jpg")]
    folder = laid_out(tmp_path, *files, fold_0_data=header + lines)

    found = list(entries("adience", folder).values())

    assert [entry.age for entry in found] == [Age(25, 33), Age(35, 36), None]
    assert [entry.values.get("gender") for entry in found] == ["female", None, "male"]
    assert found[0].metadata == {"fold": "fold_0_data", "age": "(25, 32)"}
    assert len(unread("adience", folder)) == 1


def test_a_table_of_ones_own(tmp_path: Path):
    text = "file,identity,age,gender,emotion,camera\na.jpg,Ada,34,F,sad,box\nb.jpg,,34.5,,,\n"
    text += "c.jpg,,old,,,\nd.jpg,,,x,,\n../e.jpg,,,,,\n"
    folder = laid_out(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg", labels=text)

    found = entries("csv", folder)

    assert found["a.jpg"] == Entry(
        "a.jpg",
        identity="Ada",
        age=Age(34, 35),
        values={"gender": "female", "emotion": "sad"},
        metadata={"camera": "box"},
    )
    assert found["b.jpg"].age == Age(34.5, 34.5)
    assert set(unread("csv", folder)) == {"c.jpg", "d.jpg", "../e.jpg"}
    assert entries("csv", folder / "labels.csv") == found


@pytest.mark.parametrize("layout", list(READERS))
def test_a_folder_that_is_something_else_says_so(tmp_path: Path, layout: str):
    with pytest.raises(BadDataset, match=str(tmp_path)):
        list(read(layout, tmp_path))


def test_a_layout_or_path_that_is_unknown_is_refused_with_what_is_known(tmp_path: Path):
    with pytest.raises(BadDataset, match="Known are: utkface"):
        read("vggface", tmp_path)
    with pytest.raises(BadDataset, match="There is no"):
        read("lfw", tmp_path / "nowhere")


def test_a_table_without_its_columns_or_encoding_says_which(tmp_path: Path):
    laid_out(tmp_path, labels="picture,age\na.jpg,3\n")
    with pytest.raises(BadDataset, match="no column 'file'; its columns are: picture, age"):
        list(read("csv", tmp_path))
    (tmp_path / "labels.csv").write_bytes(b"file\n\xff\xfe.jpg\n")
    with pytest.raises(BadDataset, match="UTF-8"):
        list(read("csv", tmp_path))


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("layout", "folder", "pictures", "people"),
    [
        ("utkface", "utkface", 8_986, 1),
        ("fgnet", "fgnet", 603, 50),
        ("ferplus", "ferplus", 16_530, 1),
        ("imfdb", "imfdb", 4_103, 60),
        ("celeba", "celeba_small", 3_684, 1_400),
        ("lfw", "lfw", 1_583, None),
        ("adience", "adience", None, 1),
    ],
)
def test_every_picture_of_the_real_sets_is_read(
    shared_data: Path, layout: str, folder: str, pictures: int | None, people: int | None
):
    found = entries(layout, shared_data / folder)

    assert found
    assert unread(layout, shared_data / folder) == {}
    if pictures is not None:
        assert len(found) == pictures
    if people is not None:
        assert len({entry.identity for entry in found.values()}) == people
    assert Counter((shared_data / folder / file).is_file() for file in list(found)[:50])[False] == 0
