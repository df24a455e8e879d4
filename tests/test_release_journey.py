"""Real faces, from a labelled set to a frozen dataset that can be taken along and read back."""

import shutil
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from django.core.management import call_command

from annotation import releases
from annotation.core.release import open_release
from annotation.core.release_formats.formats import FORMATS, export
from annotation.models import Face, Release
from inference.core.align import five_points, transform_for
from inference.core.types import CropSpec

pytestmark = [pytest.mark.realdata, pytest.mark.django_db]

PEOPLE = 12


@pytest.fixture
def family_album(shared_data: Path, tmp_path: Path) -> Path:
    """A dozen people of FG-NET, a few photos each."""
    folder = tmp_path / "fgnet"
    for part in ("images", "points"):
        (folder / part).mkdir(parents=True)
    by_person = defaultdict(list)
    for path in sorted((shared_data / "fgnet/images").glob("*.jpg")):
        by_person[path.name[:3]].append(path)
    for photos in list(by_person.values())[:PEOPLE]:
        for path in photos[:4]:
            shutil.copy(path, folder / "images")
            shutil.copy(shared_data / "fgnet/points" / f"{path.stem}.pts", folder / "points")
    return folder


def test_from_a_labelled_set_to_a_release_that_is_read_back(family_album, tmp_path, settings):
    settings.RELEASES_DIR = tmp_path / "releases"
    rights = ["--licence", "research only", "--legal-basis", "consent"]
    call_command("import_labelled", str(family_album), "--layout", "fgnet", "--json", *rights)
    asked = releases.create_release(name="album", query={"attributes": ["real_age"], "usable_only": False}, by=None)

    releases.build(asked.pk)

    frozen = open_release(releases.folder_of(Release.objects.get(pk=asked.pk)))
    frozen.verify()
    faces = list(frozen.faces())
    assert len(faces) == Face.objects.filter(attribute_labels__attribute="real_age").count() > 40
    of_person = defaultdict(set)
    for row in faces:
        of_person[row.identity].add(row.split)
        assert row.file.startswith("images/" + row.identity_name) or row.identity_name in row.file
        assert row.labels["real_age"].value == pytest.approx(float(row.file.split("A")[-1][:2]) + 0.5)
    assert len(of_person) == PEOPLE
    assert all(len(parts) == 1 for parts in of_person.values())
    assert set().union(*of_person.values()) == {"train", "validation", "test"}
    _lie_on_the_template(faces)
    export(frozen, FORMATS["webdataset"], tmp_path / "out")
    assert sorted(row.face for row in FORMATS["webdataset"].read(tmp_path / "out")) == [row.face for row in faces]


def _lie_on_the_template(faces) -> None:
    """The landmarks lie on the picture's own face: laying them onto the template again changes next to nothing."""
    for row in faces:
        picture = cv2.imdecode(np.frombuffer(row.image, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (384, 384, 3)
        left, right = five_points(row.landmarks)[:2]
        assert 0 < left[0] < right[0] < 384
        again = transform_for(row.landmarks, CropSpec("wide-384", 384))
        assert np.abs(again - np.eye(2, 3)).max() < 1.0
