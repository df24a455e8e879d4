"""The REST interface where predictions meet known people and their questions, under /api/v1/: search and feedback."""

import json
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import feedback, likeness, tasks, visible
from annotation.access import CURATE, ONLY_SOME, may
from annotation.api import Filtered, Predicts, Searches, parameters, signed_in
from annotation.errors import BadFeedback
from annotation.likeness import MATCHES, SOUGHT, Sought
from annotation.models import Feedback, Question
from inference import registry
from inference.api import PlaceSerializer, TakesPhotos, UsedModelSerializer, photo_of, sent_as, sent_with
from inference.core.bundle import EMBEDDING
from inference.core.images import PictureRefused
from inference.errors import BadPhoto
from inference.reports import models_report, place

MOST_CANDIDATES = 50
MOST_TOLD = 64_000  # letters of `predicted`, as JSON
AS_TEXT = ("box", "predicted")  # of a form: JSON

# ---- search


class CandidateSerializer(serializers.Serializer):
    """Somebody known whom a face may be."""

    identity = serializers.IntegerField(help_text="id, as in /api/v1/identities")
    name = serializers.CharField(help_text="empty where nobody has named them")
    probability = serializers.FloatField(help_text="that it is this person, from 0 to 1")
    similarity = serializers.FloatField(help_text="cosine to the mean of their vectors, from -1 to 1")


class SoughtFaceSerializer(PlaceSerializer):
    identity = serializers.IntegerField(
        allow_null=True, help_text="id of the likeliest; null: it is likeliest nobody whom we know"
    )
    nobody = serializers.FloatField(
        help_text="probability that it is nobody whom we know, from 0 to 1; with those of all known people it is 1"
    )
    candidates = CandidateSerializer(many=True, help_text="the likeliest first")
    calibrated = serializers.BooleanField(
        help_text="whether the probabilities were learnt from faces of known people; they hold where every second "
        "face that is asked about is of somebody known"
    )
    abstained = serializers.BooleanField(help_text="whether this should not be relied on, as the face is not usable")


class SearchSerializer(serializers.Serializer):
    width = serializers.IntegerField(help_text="of the upright photo, in pixels")
    height = serializers.IntegerField(help_text="in pixels")
    faces = SoughtFaceSerializer(many=True, help_text=f"the chosen one first; at most {SOUGHT} are looked for")
    model = UsedModelSerializer(help_text="the backbone whose vectors were compared")


class SearchInput(serializers.Serializer):
    most = serializers.IntegerField(min_value=1, max_value=MOST_CANDIDATES, default=MATCHES)


_MOST = {
    "type": "integer",
    "minimum": 1,
    "maximum": MOST_CANDIDATES,
    "default": MATCHES,
    "description": "people told of each face at most",
}


class Search(TakesPhotos):
    permission_classes = [Searches]
    by_source = True

    @extend_schema(request=sent_as("photo", more={"most": _MOST}), responses=SearchSerializer)
    def post(self, request: Request) -> Response:
        """Which known people the faces of a photo are, or nobody whom we know.

        The photo is not kept; that you looked, and who was found, is.
        """
        photo = photo_of(request)
        given = SearchInput(data=sent_with(request, ["most"]))
        given.is_valid(raise_exception=True)
        try:
            version = registry.ensure_live()
            most = given.validated_data["most"]
            decoded, sought = likeness.search(photo, by=signed_in(request), most=most, version=version)
        except PictureRefused as error:
            raise BadPhoto(error.code, str(error), "photo") from error
        faces = [place(each.found, decoded.size) | _whom(each) for each in sought]
        model = models_report({EMBEDDING: version})[EMBEDDING]
        return Response({"width": decoded.width, "height": decoded.height, "faces": faces, "model": model})


def _whom(sought: Sought) -> dict[str, Any]:
    best = next((match for match in sought.matches if match.probability > sought.nobody), None)
    return {
        "identity": best.identity.pk if best else None,
        "nobody": round(sought.nobody, 4),
        "candidates": [
            {
                "identity": match.identity.pk,
                "name": match.identity.name,
                "probability": round(match.probability, 4),
                "similarity": round(match.cosine, 4),
            }
            for match in sought.matches
        ],
        "calibrated": sought.calibrated,
        "abstained": not sought.found.quality.usable,
    }


# ---- feedback


class SharesSerializer(serializers.Serializer):
    """A box as shares of the photo's width and height: `box_share` of a prediction."""

    x = serializers.FloatField(min_value=-1, max_value=2, help_text="left edge, as a share of the width")
    y = serializers.FloatField(min_value=-1, max_value=2, help_text="upper edge, as a share of the height")
    width = serializers.FloatField(min_value=0, max_value=3, help_text="as a share of the photo's width")
    height = serializers.FloatField(min_value=0, max_value=3, help_text="as a share of the photo's height")


class FeedbackInput(serializers.Serializer):
    keep = serializers.BooleanField(help_text="true: you agree that the photo is kept; else nothing can be asked")
    attribute = serializers.CharField(max_length=20, help_text="apparent_age, gender, emotion or identity")
    value = serializers.CharField(
        max_length=300, help_text="what it is instead: a value of the attribute, whole years, a name, or not_a_face"
    )
    box = SharesSerializer(required=False, allow_null=True, help_text="which face; left out: the chosen one")
    predicted = serializers.DictField(default=dict, help_text="what was predicted of the face, as you were told it")

    def validate_predicted(self, told: dict[str, Any]) -> dict[str, Any]:
        """It is kept beside the photo, in whichever database: what that could not hold is refused before."""
        try:
            text = json.dumps(told, allow_nan=False)
            json.dumps(told, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:  # half a character is a ValueError, too
            message = "It holds a number that is not finite, or half a character, or is nested too deep."
            raise ValidationError(message) from error
        if len(text) > MOST_TOLD or "\\u0000" in text:
            raise ValidationError(f"It has more than {MOST_TOLD:,} letters, or a NUL among them.")
        return told


class FeedbackSerializer(serializers.ModelSerializer):
    """A correction that a client sent, and what became of it."""

    value = serializers.CharField(source="claimed", help_text="what the client says it is")
    settled = serializers.SerializerMethodField(help_text="whether people have answered its question")

    class Meta:
        model = Feedback
        fields = ["id", "photo", "face", "attribute", "value", "state", "reason", "question", "settled", "at"]
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "photo": {"help_text": "id of the photo, as in /api/v1/photos"},
            "face": {"help_text": "id of the face, as in /api/v1/faces; null until it is found"},
            "attribute": {"help_text": "that is said to be wrong"},
            "state": {"help_text": "waiting for the face to be found; asked; or nothing to ask"},
            "reason": {"help_text": "why there is nothing to ask; empty else"},
            "question": {"help_text": "id of the question that people are asked; null until it is"},
        }

    def get_settled(self, given: Feedback) -> bool:
        return given.question is not None and given.question.state == Question.State.SETTLED


class FeedbackFilter(forms.Form):
    state = forms.ChoiceField(required=False, choices=[("", "Any"), *Feedback.State.choices], label="how far it is")

    def of(self, rows: QuerySet[Feedback]) -> QuerySet[Feedback]:
        state = self.cleaned_data["state"]
        return rows.filter(state=state) if state else rows


_FEEDBACK = {
    "keep": {"type": "boolean", "description": "true: you agree that the photo is kept"},
    "attribute": {
        "type": "string",
        "enum": ["apparent_age", "gender", "emotion", "identity"],
        "description": "what was said wrongly",
    },
    "value": {"type": "string", "maxLength": 300, "description": FeedbackInput().fields["value"].help_text},
    "box": {
        "type": "object",
        "description": "which face, as `box_share` of its prediction; left out: the chosen one. JSON in a form",
        "properties": {name: {"type": "number"} for name in ("x", "y", "width", "height")},
        "required": ["x", "y", "width", "height"],
    },
    "predicted": {"type": "object", "description": "what you were told of the face. JSON in a form"},
}


@extend_schema_view(list=extend_schema(parameters=parameters(FeedbackFilter)))
class Feedbacks(TakesPhotos, Filtered):
    """Corrections, the latest first: your own, and for curators everybody's."""

    permission_classes = [Predicts]
    filter_form = FeedbackFilter
    serializer_class = FeedbackSerializer
    queryset = Feedback.objects.none()

    def get_queryset(self) -> QuerySet[Feedback]:
        user = signed_in(self.request)
        rows = Feedback.objects.filter(visible.of(user, "photo")).select_related("question")
        return rows if may(user, CURATE) else rows.filter(by=user)

    @extend_schema(
        request=sent_as("photo", more=_FEEDBACK, required=("keep", "attribute", "value")),
        responses={201: FeedbackSerializer},
    )
    def create(self, request: Request) -> Response:
        """Say what is wrong in a prediction: it becomes a question to people, never a label by itself.

        Photos are not kept by default, so it is sent again, with `keep`. Whoever is asked is not told what you claim.
        """
        by = signed_in(request)
        if by.restricted and not visible.sources(by).filter(name=feedback.SOURCE).exists():
            raise PermissionDenied(ONLY_SOME)  # it would be kept in a source that they do not see
        photo = photo_of(request)
        sent = sent_with(request, _FEEDBACK)
        given = FeedbackInput(data={name: _read(value, name) for name, value in sent.items()})
        given.is_valid(raise_exception=True)
        said = given.validated_data
        if not said["keep"]:
            message = "People can only be asked about a photo that is kept. Send `keep` as true if you agree to it."
            raise BadFeedback("not_to_be_kept", message, "keep")
        made = feedback.give(
            photo=photo,
            attribute=said["attribute"],
            claimed=said["value"],
            box=said.get("box"),
            predicted=said["predicted"],
            by=by,
        )
        transaction.on_commit(tasks.feed_belt, robust=True)  # without it, the sweep finds the photo
        return Response(FeedbackSerializer(made).data, status=status.HTTP_201_CREATED)


def _read(sent: Any, name: str) -> Any:
    if name not in AS_TEXT or not isinstance(sent, str):
        return sent
    try:
        return json.loads(sent)
    except (ValueError, RecursionError) as error:
        raise ValidationError({name: f"This is no JSON: {error}."}) from error
