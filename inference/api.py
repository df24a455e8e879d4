"""The REST interface of predictions, under /api/v1/: a photo in, its faces with all that is said of them out.

Nothing that is sent is kept, on disk or in the database.
"""

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, MemoryFileUploadHandler
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inference import registry
from inference.core.attributes import ATTRIBUTES, OLDEST
from inference.core.bundle import EMBEDDING
from inference.core.images import PictureRefused
from inference.errors import BadPhoto, PhotoFailed
from inference.predict import Prediction, embed, predict, predict_all
from inference.reports import models_report, place, report, sized, verification_report
from inference.verify import verify

MOST_PHOTOS = 64  # of a batch
# Why one of a batch has no prediction: it is refused, it is not what was asked for, or the server failed at it.
FAILS_ALONE = sorted([each.code for each in PictureRefused.__subclasses__()] + ["not_base64", PhotoFailed.code])


# ---- photos that are sent


class _InMemory(MemoryFileUploadHandler):
    """Whatever its size: what a client sends is never written to disk. The server's own limit stands before it."""

    def handle_raw_input(self, *args: Any, **kwargs: Any) -> None:
        self.activated = True


class PhotosInJson(BaseParser):
    """As large as a request with photos may be: what is a JSONParser, DRF gives no more than a form may have.

    Brackets without end are refused as any other text that is no JSON.
    """

    media_type = JSONParser.media_type

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return JSONParser().parse(*args, **kwargs)
        except RecursionError as error:
            raise ParseError("The JSON is nested too deep. Send an object with the photos in it.") from error


class TakesPhotos(APIView):
    """Photos as the files of a form, or as base64 in JSON."""

    parser_classes = [MultiPartParser, PhotosInJson]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Before anything is read: how much comes, and where it goes. Raises BadPhoto."""
        length = str(request.META.get("CONTENT_LENGTH") or "")
        sent = int(length) if length.isascii() and length.isdecimal() else 0
        if sent > settings.PREDICT_REQUEST_MB * 1_000_000:
            raise BadPhoto(
                "too_large",
                f"The request has {sent / 1e6:.0f} MB; at most {settings.PREDICT_REQUEST_MB} MB are taken at once. "
                "Send fewer photos, or raise DAGER_REQUEST_MB.",
                "",
            )
        handlers: list[FileUploadHandler] = [_InMemory(request._request)]
        request._request.upload_handlers = handlers
        super().initial(request, *args, **kwargs)


def photo_of(request: Request, field: str = "photo") -> bytes:
    """The file sent under this name. Raises BadPhoto."""
    sent = request.data.get(field) if hasattr(request.data, "get") else None
    if sent is None:
        raise BadPhoto("missing", f"No photo was sent: put a file, or base64 in JSON, under the name `{field}`.", field)
    return _bytes(sent, field)


def sent_with(request: Request, names: Iterable[str]) -> dict[str, Any]:
    """What else was sent, by these names."""
    data: Any = request.data  # a form's or JSON's
    return {name: data[name] for name in names if name in data}


def photos_of(request: Request) -> list[Any]:
    """What was sent as `photos`, each to be read by itself. Raises BadPhoto."""
    data = request.data
    sent = data.getlist("photos") if hasattr(data, "getlist") else data.get("photos") if isinstance(data, dict) else []
    if not isinstance(sent, list) or not sent:
        raise BadPhoto("missing", "No photos were sent: put files, or a list of base64, under `photos`.", "photos")
    if len(sent) > MOST_PHOTOS:
        message = f"{len(sent)} photos were sent, and at most {MOST_PHOTOS} are taken at once. Send them in parts."
        raise BadPhoto("too_many", message, "photos")
    return sent


def _bytes(sent: Any, field: str) -> bytes:
    if isinstance(sent, UploadedFile):
        return bytes(sent.read())
    if not isinstance(sent, str):
        raise BadPhoto("not_base64", f"{field} must be a file or a text in base64, not {type(sent).__name__}.", field)
    text = sent.partition(",")[2] if sent.startswith("data:") else sent
    try:
        return base64.b64decode("".join(text.split()), validate=True)  # many a tool breaks its lines
    except (binascii.Error, ValueError) as error:
        raise BadPhoto("not_base64", f"{field} is no base64: {error}.", field) from error


# ---- what is told of them


class BoxSerializer(serializers.Serializer):
    x = serializers.FloatField(help_text="left edge; it may lie beyond the photo")
    y = serializers.FloatField(help_text="upper edge")
    width = serializers.FloatField()
    height = serializers.FloatField()


class PoseSerializer(serializers.Serializer):
    yaw = serializers.FloatField(help_text="degrees; above 0 is turned towards the photo's right")
    pitch = serializers.FloatField(help_text="degrees; above 0 is looking up")
    roll = serializers.FloatField(help_text="degrees; above 0 is tilted clockwise")


class QualitySerializer(serializers.Serializer):
    size = serializers.FloatField(help_text="the shorter side of the face, in pixels")
    sharpness = serializers.FloatField(help_text="variance of the Laplacian of the luma (0–255); below 10 is blurred")
    brightness = serializers.FloatField(help_text="mean luma, from 0 to 1")
    gray = serializers.BooleanField(help_text="whether there is no colour in it")
    truncated = serializers.BooleanField(help_text="whether the photo's frame cuts it off")
    usable = serializers.BooleanField(help_text="whether it is good enough to tell anything; if not, all is abstained")
    reason = serializers.CharField(help_text="why it is not usable; empty if it is")


class YearsSerializer(serializers.Serializer):
    mean = serializers.FloatField(help_text=f"years, from 0 to {OLDEST}")
    sd = serializers.FloatField(help_text="standard deviation of the belief, in years")
    low = serializers.IntegerField(help_text="lower end of the central 90 % of the belief, in years")
    high = serializers.IntegerField(help_text="its upper end, in years")
    calibrated = serializers.BooleanField(help_text="whether it was measured on faces that the model had not seen")
    abstained = serializers.BooleanField(help_text="whether this should not be relied on")


class ChoiceSerializer(serializers.Serializer):
    value = serializers.CharField(help_text="the likeliest")
    confidence = serializers.FloatField(help_text="belief in it, from 0 to 1")
    distribution = serializers.DictField(child=serializers.FloatField(), help_text="belief in each value; sums to 1")
    calibrated = serializers.BooleanField(help_text="whether it was measured on faces that the model had not seen")
    abstained = serializers.BooleanField(help_text="whether this should not be relied on")


class PlaceSerializer(serializers.Serializer):
    """Where a face is, in pixels of the whole upright photo, and how well it can be seen."""

    box = BoxSerializer(help_text="in pixels")
    box_share = BoxSerializer(help_text="as shares of the photo's width and height")
    score = serializers.FloatField(help_text="of the detector, from 0 to 1")
    chosen = serializers.BooleanField(help_text="the most centred of the large faces; one of each photo with any")
    landmarks = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2),
        min_length=68,
        max_length=68,
        help_text="x and y of the 68 points of the 300-W mark-up, in pixels",
    )
    pose = PoseSerializer()
    quality = QualitySerializer()


class PredictedFaceSerializer(PlaceSerializer):
    real_age = YearsSerializer(allow_null=True, help_text="null where no model is known for it")
    apparent_age = YearsSerializer(allow_null=True, help_text="how old people would say; null as real_age")
    gender = ChoiceSerializer(allow_null=True, help_text="female or male; null as real_age")
    emotion = ChoiceSerializer(allow_null=True, help_text=f"{', '.join(ATTRIBUTES['emotion'].values)}; null likewise")


class UsedModelSerializer(serializers.Serializer):
    """Which model said it."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    checksum = serializers.CharField(help_text="SHA-256 of the bundle, or of the file that a package ships")
    releases = serializers.ListField(child=serializers.CharField(), help_text="ids of the releases that it learnt from")


class PredictedPhotoSerializer(serializers.Serializer):
    width = serializers.IntegerField(help_text="of the upright photo, in pixels")
    height = serializers.IntegerField(help_text="in pixels")
    faces = PredictedFaceSerializer(many=True, help_text="from left to right, 500 at most; empty where none was found")


class PredictionSerializer(PredictedPhotoSerializer):
    models = serializers.DictField(child=UsedModelSerializer(), help_text="by attribute, whose word it is")


class RefusalSerializer(serializers.Serializer):
    code = serializers.CharField(help_text=f"stable, for programs: one of {', '.join(FAILS_ALONE)}")
    message = serializers.CharField(help_text="the value, the cause and the way out")
    field = serializers.CharField(help_text="which photo: photos.0 is the first")


class OneOfBatchSerializer(serializers.Serializer):
    prediction = PredictedPhotoSerializer(allow_null=True)
    error = RefusalSerializer(
        allow_null=True, help_text="why this one was refused, or failed; the others are not touched by it"
    )


class BatchSerializer(serializers.Serializer):
    results = OneOfBatchSerializer(many=True, help_text="in the order in which the photos were sent")
    models = serializers.DictField(child=UsedModelSerializer(), help_text="by attribute, whose word it is")


class FaceVectorSerializer(PlaceSerializer):
    vector = serializers.ListField(
        child=serializers.FloatField(), help_text="unit length; two faces' cosine says how alike they are"
    )


class EmbeddingSerializer(serializers.Serializer):
    width = serializers.IntegerField(help_text="of the upright photo, in pixels")
    height = serializers.IntegerField(help_text="in pixels")
    faces = FaceVectorSerializer(many=True)
    model = UsedModelSerializer(help_text="vectors of different models cannot be compared")


class ComparedPhotoSerializer(serializers.Serializer):
    width = serializers.IntegerField(help_text="of the upright photo, in pixels")
    height = serializers.IntegerField(help_text="in pixels")
    faces = serializers.IntegerField(help_text="that were found in it")
    face = PlaceSerializer(help_text="the one that was compared: the chosen one")


class VerificationSerializer(serializers.Serializer):
    similarity = serializers.FloatField(help_text="cosine of the two vectors, from -1 to 1")
    threshold = serializers.FloatField(help_text="the similarity from which on they are taken for one person")
    same = serializers.BooleanField(help_text="the verdict: whether both are one person")
    probability = serializers.FloatField(help_text="that both are one person, from 0 to 1, if every second pair is")
    chance_of_error = serializers.FloatField(help_text="that the verdict is wrong, from 0 to 0.5, of such pairs")
    calibrated = serializers.BooleanField(help_text="whether these chances were measured on people not seen before")
    abstained = serializers.BooleanField(help_text="whether it should not be relied on, as a face is not usable")
    photo_a = ComparedPhotoSerializer()
    photo_b = ComparedPhotoSerializer()
    model = UsedModelSerializer(help_text="the backbone whose vectors were compared")


def sent_as(
    *names: str, many: bool = False, more: dict[str, Any] | None = None, required: Sequence[str] = ()
) -> dict[str, Any]:
    """What a call takes, for the schema: photos under these names, and whatever `more` describes."""

    def body(text: dict[str, str]) -> dict[str, Any]:
        wanted = {"type": "array", "items": text, "maxItems": MOST_PHOTOS} if many else text
        properties = dict.fromkeys(names, wanted) | (more or {})
        return {"type": "object", "properties": properties, "required": [*names, *required]}

    limits = f"JPEG, PNG or WebP of at most {settings.INTAKE_FILE_MB} MB and {settings.INTAKE_MEGAPIXELS} megapixels"
    return {
        "multipart/form-data": body({"type": "string", "format": "binary", "description": limits}),
        "application/json": body({"type": "string", "format": "byte", "description": f"base64 of a {limits}"}),
    }


class Predict(TakesPhotos):
    @extend_schema(request=sent_as("photo"), responses=PredictionSerializer)
    def post(self, request: Request) -> Response:
        """The faces of a photo: box, landmarks, pose, quality, ages, gender, emotion, and which models said so."""
        versions = registry.ensure_attributes()
        try:
            predicted = predict(photo_of(request), versions)
        except PictureRefused as error:
            raise BadPhoto(error.code, str(error), "photo") from error
        return Response(report(predicted) | {"models": models_report(versions)})


class PredictBatch(TakesPhotos):
    @extend_schema(request=sent_as("photos", many=True), responses=BatchSerializer)
    def post(self, request: Request) -> Response:
        """The same of up to 64 photos. Each succeeds or fails alone: also one at which the server itself fails."""
        sent = photos_of(request)
        read = (_read(each, f"photos.{index}") for index, each in enumerate(sent))  # as their turn comes
        versions = registry.ensure_attributes()
        told = enumerate(predict_all(read, versions, count=len(sent)))
        results = [_outcome(each, f"photos.{index}") for index, each in told]
        return Response({"results": results, "models": models_report(versions)})


class Embed(TakesPhotos):
    @extend_schema(request=sent_as("photo"), responses=EmbeddingSerializer)
    def post(self, request: Request) -> Response:
        """The faces of a photo with the vector that the live backbone gives each."""
        version = registry.ensure_live()
        try:
            predicted, vectors = embed(photo_of(request), version)
        except PictureRefused as error:
            raise BadPhoto(error.code, str(error), "photo") from error
        faces = [
            place(face.found, predicted.size) | {"vector": _rounded(vector.tolist())}
            for face, vector in zip(predicted.faces, vectors, strict=True)
        ]
        model = models_report({EMBEDDING: version})[EMBEDDING]
        return Response(sized(predicted) | {"faces": faces, "model": model})


class Verify(TakesPhotos):
    @extend_schema(request=sent_as("photo_a", "photo_b"), responses=VerificationSerializer)
    def post(self, request: Request) -> Response:
        """Whether the main faces of two photos are one person: similarity, verdict, and how likely it is wrong."""
        verified = verify(photo_of(request, "photo_a"), photo_of(request, "photo_b"))
        return Response(verification_report(verified))


def _rounded(vector: Sequence[float]) -> list[float]:
    return [round(value, 6) for value in vector]


def _read(sent: Any, field: str) -> bytes | BadPhoto:
    try:
        return _bytes(sent, field)
    except BadPhoto as error:
        return error


def _outcome(found: Prediction | PictureRefused | PhotoFailed | BadPhoto, field: str) -> dict[str, Any]:
    if isinstance(found, Prediction):
        return {"prediction": report(found), "error": None}
    return {"prediction": None, "error": {"code": found.code, "message": str(found), "field": field}}
