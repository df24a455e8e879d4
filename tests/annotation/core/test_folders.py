import os
import socket
from pathlib import Path

import pytest

from annotation.core.folders import Found, walk
from annotation.core.refusals import Refusal, Skipped


def codes(folder: Path) -> dict[str, str]:
    return {item.file: item.code for item in walk(folder) if isinstance(item, Refusal)}


def files(folder: Path) -> list[str]:
    return [item.file for item in walk(folder) if isinstance(item, Found)]


def test_every_file_below_the_folder_is_found_in_order(tmp_path: Path):
    for name in ("b/2.jpg", "a.jpg", "b/1.jpg", "b/c/3.jpg", "b/.hidden.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert files(tmp_path) == ["a.jpg", "b/.hidden.jpg", "b/1.jpg", "b/2.jpg", "b/c/3.jpg"]


def test_what_systems_leave_behind_is_passed_over_and_counted(tmp_path: Path):
    for name in (".DS_Store", "Thumbs.db", "._1.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "1.jpg").touch()
    assert [type(item) for item in walk(tmp_path)] == [Skipped] * 4


def test_a_link_out_of_the_folder_is_refused_and_one_inside_followed(tmp_path: Path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "1.jpg").touch()
    (inside / "copy.jpg").symlink_to(inside / "1.jpg")
    (inside / "stolen.jpg").symlink_to(outside / "1.jpg")
    (inside / "folder").symlink_to(outside)
    (inside / "gone.jpg").symlink_to(inside / "nothing.jpg")
    assert files(inside) == ["1.jpg", "copy.jpg"]
    assert codes(inside) == {"stolen.jpg": "link_outside", "folder": "link_outside", "gone.jpg": "unreadable"}


def test_links_in_circles_end(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    assert codes(tmp_path) == {"a/up": "link_loop", "itself": "unreadable"}


def test_pipes_and_sockets_are_refused_unopened(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "socket.jpg"))
        assert codes(tmp_path) == {"pipe.jpg": "special_file", "socket.jpg": "special_file"}


def test_a_folder_that_may_not_be_read_is_reported_and_the_rest_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "1.jpg").touch()
    (tmp_path / "secret").mkdir()
    real = os.scandir

    def denied(path):
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", denied)  # the tests run as root, whom nothing is denied
    found = list(walk(tmp_path))
    assert [item.file for item in found] == ["1.jpg", "secret"]
    assert isinstance(found[1], Refusal)
    assert "Permission denied" in found[1].reason
    assert "chmod" in found[1].reason


def test_odd_names_become_text_that_a_database_takes(tmp_path: Path):
    os.close(os.open(os.fsencode(tmp_path) + b"/\xff\xfe.jpg", os.O_CREAT))
    (tmp_path / "line\nbreak.jpg").touch()
    assert files(tmp_path) == ["line\nbreak.jpg", "\\xff\\xfe.jpg"]


def test_a_folder_that_is_not_there_says_so(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        list(walk(tmp_path / "nowhere"))
