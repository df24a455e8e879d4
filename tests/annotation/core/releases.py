"""Rows of releases to test with: pictures that are nobody's, labels of every kind, names that mean harm."""

import hashlib
import json

import cv2
import numpy as np

from annotation.core.release import FaceRow, LabelValue, Release, _as_json

HOSTILE = ["../../etc/passwd", '=HYPERLINK("x")', 'a,b\n"c"\r\n;d', "'quoted", "é\u202e名前", "", "C:\\x|<y>*", "-1+2"]


def a_row(face: int, **fields: object) -> FaceRow:
    """The face with this id; every fourth one lacks some label, each has another picture."""
    defaults = {
        "face": face,
        "split": ("train", "train", "validation", "test")[face % 4],
        "group": face,
        "file": f"photo{face}.jpg",
        "sha256": f"{face:015x}".ljust(64, "0"),
        "source": "drawn",
        "licence": "CC0-1.0",
        "legal_basis": "drawn",
        "image": fields.get("image") or a_jpeg(face),
        "landmarks": (np.arange(136).reshape(68, 2) * 2.7 + face % 7 + 0.1).astype(np.float32),
        "size": 80.5,
        "sharpness": 100.0 / 3,
        "brightness": 0.1,
        "gray": face % 2 == 0,
        "yaw": -12.25,
        "pitch": 3.0,
        "roll": 0.0,
        "labels": some_labels(face),
    }
    return FaceRow(**(defaults | fields))


def some_labels(face: int) -> dict[str, LabelValue]:
    labels = {"real_age": LabelValue(float(face % 117), None, 0.5, 1.0, "import", face * 10)}
    if face % 4 != 1:
        labels["gender"] = LabelValue(("female", "male")[face % 2], (1 - face % 2, face % 2), None, 0.99, "person", 7)
    if face % 4 != 2:
        shares = (0.1, 0.0, 0.0, 0.6, 0.3, 0.0, 0.0)
        labels["emotion"] = LabelValue("happy", shares, None, 0.97, "machine", None)
    else:
        labels["emotion"] = LabelValue(None, None, None, None, "person", 9)
    if face % 3 == 0:
        labels["apparent_age"] = LabelValue(31.4, None, 4.2, 1.0, "person", 11)
    return labels


def a_jpeg(face: int, side: int = 384) -> bytes:
    picture = np.full((side, side, 3), (face * 7 % 256, face * 13 % 256, face * 29 % 256), np.uint8)
    cv2.circle(picture, (side // 2, side // 2), side // 4, (255, 255, 255), -1)
    return cv2.imencode(".jpg", picture)[1].tobytes()


def some_rows(count: int) -> list[FaceRow]:
    return [a_row(face) for face in range(1, count + 1)]


def hostile_rows() -> list[FaceRow]:
    """Whatever a scraper can bring: only names, so that nothing but names can differ."""
    return [
        a_row(
            number + 1,
            file=text or "empty.jpg",
            source=text,
            source_url=text,
            licence=text or "x",
            legal_basis=text,
            identity=number,
            identity_name=text,
            identity_decided_by="person",
            identity_confidence=0.97,
            identity_decision=number + 5,
        )
        for number, text in enumerate(HOSTILE)
    ]


def told(rows) -> list[dict]:
    """What rows say, to be compared."""
    return [row.columns() for row in rows]


def forge(release: Release, changes: dict) -> None:
    """Its description says something else, and its id fits that."""
    content = json.loads((release.folder / "release.json").read_text()) | changes
    del content["id"]
    forged = {"id": hashlib.sha256(_as_json(content).encode()).hexdigest()} | content
    (release.folder / "release.json").write_text(_as_json(forged))
