"""`manage.py predict`: text, JSON lines, a drawing; what cannot be read is named and does not stop the others."""

import json
import os
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from PIL import Image
from rich.console import Console

from annotation.core.drawn import draw_group, draw_portrait
from inference import registry
from inference.core.attributes import EMOTION
from inference.core.said import Sureness
from inference.management.commands import predict as command

NAME_ONE = "Name a photo, or a folder of photos."
pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "inner").mkdir(parents=True)
    draw_portrait(10368, 1).save(folder / "a.jpg")
    draw_group([10245, 11178], 3).save(folder / "inner" / "b.png")
    (folder / "notes.txt").write_text("no photo")
    return folder


def told(*words: object, **options: object) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("predict", *map(str, words), stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def test_a_folder_is_told_photo_by_photo(folder):
    out, _ = told(folder)

    assert f"{folder / 'a.jpg'}: 1 face\n" in out
    assert f"{folder / 'inner' / 'b.png'}: 2 faces\n" in out
    assert "notes.txt" not in out
    assert "looks" in out


@pytest.mark.parametrize(
    ("named", "terminal", "shown"), [(".", True, True), ("a.jpg", True, False), (".", False, False)]
)
def test_a_terminal_shows_how_far_it_is_with_many(folder, monkeypatch, named: str, terminal: bool, shown: bool):
    screen = StringIO()
    monkeypatch.setattr(command, "Console", lambda **_: Console(file=screen, force_terminal=terminal))

    out, _ = told(folder / named)

    assert ("100%" in screen.getvalue()) == shown
    assert f"{folder / 'a.jpg'}: 1 face" in out


def test_what_was_never_measured_is_said_to_be_so(folder, monkeypatch):
    """Of the networks that ship nobody knows how sure they are; of a bundle that was calibrated it is not said."""
    assert "; not calibrated: apparent age, gender, emotion\n" in told(folder / "a.jpg")[0]

    measured = lambda version: Sureness(calibrated=version.task != EMOTION.name, abstain_below=0.0)  # noqa: E731
    monkeypatch.setattr(registry, "sureness", measured)
    assert "; not calibrated: emotion\n" in told(folder / "a.jpg")[0]


def test_json_has_a_line_for_each_photo_refused_ones_too(folder):
    (folder / "c.jpg").write_bytes(b"no picture")
    out = StringIO()
    with pytest.raises(CommandError, match="1 of 3 photos"):
        call_command("predict", str(folder), json=True, stdout=out)

    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [Path(line["photo"]).name for line in lines] == ["a.jpg", "c.jpg", "b.png"]
    assert lines[1]["error"]["code"] == "not_a_picture"
    assert len(lines[2]["faces"]) == 2
    assert lines[0]["models"]["emotion"]["name"] == "mini-xception"


def test_it_is_drawn_on_the_photo(folder, tmp_path):
    told(folder / "a.jpg", draw=tmp_path / "out.png")

    drawn, photo = np.asarray(Image.open(tmp_path / "out.png")), np.asarray(Image.open(folder / "a.jpg"))
    assert drawn.shape == photo.shape
    assert (np.abs(drawn.astype(int) - photo).max(axis=2) > 60).mean() > 0.005


def test_a_pipe_is_read_once_and_drawn_on(folder, tmp_path):
    reads, writes = os.pipe()
    os.write(writes, (folder / "a.jpg").read_bytes())  # less than a pipe holds
    os.close(writes)

    told(f"/dev/fd/{reads}", draw=tmp_path / "drawn.png")
    os.close(reads)

    with Image.open(tmp_path / "drawn.png") as drawn:
        assert drawn.size == (360, 420)


@pytest.mark.parametrize("name", ["out.txt", "missing/out.png"])
def test_a_drawing_that_cannot_be_written_says_why(folder, tmp_path, name):
    with pytest.raises(CommandError, match="cannot be written"):
        told(folder / "a.jpg", draw=tmp_path / name)


def test_what_is_not_there_is_said(folder, tmp_path):
    err = StringIO()
    with pytest.raises(CommandError, match="1 of 1 photos could not be looked at"):
        call_command("predict", str(tmp_path / "nowhere.jpg"), stderr=err)
    assert err.getvalue() == f"{tmp_path / 'nowhere.jpg'}: There is no such file or folder. {NAME_ONE}\n"
    with pytest.raises(CommandError, match="takes one photo, not 2"):
        told(folder, draw=tmp_path / "out.png")
    with pytest.raises(CommandError, match="a name is empty"):
        told("")  # as of a variable that is not set: not all that lies below here
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError, match="There is no photo in"):
        told(tmp_path / "empty")
