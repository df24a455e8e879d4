"""The REST interface where predictions meet known people and their questions, under /api/v1/: search and feedback."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import likeness
from annotation.api import Curates, signed_in
from annotation.likeness import MATCHES, SOUGHT, Sought
from inference import registry
from inference.api import PlaceSerializer, TakesPhotos, UsedModelSerializer, photo_of, sent_as
from inference.core.bundle import EMBEDDING
from inference.core.images import PictureRefused
from inference.errors import BadPhoto
from inference.reports import models_report, place

MOST_CANDIDATES = 50

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
    permission_classes = [Curates]

    @extend_schema(request=sent_as("photo", more={"most": _MOST}), responses=SearchSerializer)
    def post(self, request: Request) -> Response:
        """Which known people the faces of a photo are, or nobody whom we know.

        The photo is not kept; that you looked, and who was found, is.
        """
        photo = photo_of(request)
        given = SearchInput(data={name: request.data[name] for name in ("most",) if name in request.data})
        given.is_valid(raise_exception=True)
        try:
            decoded, sought = likeness.search(photo, by=signed_in(request), most=given.validated_data["most"])
        except PictureRefused as error:
            raise BadPhoto(error.code, str(error), "photo") from error
        faces = [place(each.found, decoded) | _whom(each) for each in sought]
        model = models_report({EMBEDDING: registry.ensure_live()})[EMBEDDING]
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
