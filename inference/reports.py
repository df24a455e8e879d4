"""A prediction as the API and the command tell it: plain data, numbers rounded to what they mean."""

from dataclasses import asdict
from typing import Any

from inference.core.align import FloatPoints
from inference.core.attributes import ATTRIBUTES
from inference.core.images import Size
from inference.core.types import FaceFound
from inference.models import ModelVersion
from inference.predict import FacePrediction, Prediction
from inference.verify import Side, Verification


def report(predicted: Prediction) -> dict[str, Any]:
    """As DESIGN.md §7 has it: pixels of the whole photo, upright; boxes as shares of it besides."""
    return sized(predicted) | {"faces": [_face(face, predicted.size) for face in predicted.faces]}


def sized(predicted: Prediction | Side) -> dict[str, Any]:
    return {"width": predicted.size.width, "height": predicted.size.height}


def models_report(versions: dict[str, ModelVersion]) -> dict[str, Any]:
    """By task: which model it was, and what that learnt from."""
    return {
        task: {
            "id": version.pk,
            "name": version.name,
            "checksum": version.checksum,
            "releases": version.release_ids.split(),
        }
        for task, version in sorted(versions.items())
    }


def verification_report(verified: Verification) -> dict[str, Any]:
    """The verdict, and which faces were compared."""
    return _rounded(asdict(verified.verdict)) | {
        "abstained": verified.abstained,
        "photo_a": _side(verified.one),
        "photo_b": _side(verified.other),
        "model": models_report({"": verified.version})[""],
    }


def _side(side: Side) -> dict[str, Any]:
    return sized(side) | {"faces": side.faces, "face": place(side.face, side.size)}


def _face(face: FacePrediction, photo: Size) -> dict[str, Any]:
    told = place(face.found, photo)
    for attribute in ATTRIBUTES if face.said else ():
        said = face.said[attribute]
        told[attribute] = None if said is None else _rounded(asdict(said))
    return told


def place(found: FaceFound, photo: Size) -> dict[str, Any]:
    """Where a face is and how well it can be seen."""
    scale, box = photo.scale, found.detection.box
    x, y, width, height = (round(side * scale, 1) for side in (box.x, box.y, box.width, box.height))
    return {
        "box": {"x": x, "y": y, "width": width, "height": height},
        "box_share": {
            "x": round(x / photo.width, 5),
            "y": round(y / photo.height, 5),
            "width": round(width / photo.width, 5),
            "height": round(height / photo.height, 5),
        },
        "score": round(found.detection.score, 3),
        "chosen": found.chosen,
        "landmarks": _points(found.landmarks * scale),
        "pose": _rounded(asdict(found.pose)),
        "quality": _rounded(asdict(found.quality) | {"size": found.quality.size * scale}),
    }


def _points(points: FloatPoints) -> list[list[float]]:
    return [[round(float(x), 1), round(float(y), 1)] for x, y in points]


def _rounded(told: dict[str, Any]) -> dict[str, Any]:
    """Four decimals of everything that is no whole number."""
    return {
        name: _rounded(value) if isinstance(value, dict) else round(value, 4) if isinstance(value, float) else value
        for name, value in told.items()
    }
