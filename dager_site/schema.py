"""What the description of the API adds to what serializers say: every error, and what each field of a row means."""

import re
from typing import Any

from annotation.errors import BadFeedback
from dager_site.api_errors import STATUS, code_of
from inference.core.images import PictureRefused
from inference.errors import BadPhoto

ERRORS = {
    "400": "A field is missing, impossible, or no field at all; `field` names it.",
    "401": "Nobody is signed in, or the token is unknown, expired or revoked.",
    "403": "Your role, or the token's scope, does not include this; or a form's CSRF token is missing.",
    "404": "There is nothing here.",
    "406": "Answers are JSON, and `Accept` takes none.",
    "409": "It is somebody else's, closed, or under way.",
    "410": "It holds what was erased since.",
    "415": "What was sent is neither JSON nor a form, or does not say which.",
    "422": "The Idempotency-Key came before with another body.",
    "429": "More calls than may be made this minute; `Retry-After` says when to go on, in seconds.",
    "500": "The server failed; its log says why, by the `request_id`.",
    "503": "No model is live, the queue does not answer, or the server is overloaded; try again.",
}
# What any call may answer; what each app says besides is in its own errors.
CODES = {
    "400": ["bad_request", "invalid", "parse_error"],
    "401": ["authentication_failed", "not_authenticated"],
    "403": ["permission_denied"],
    "404": ["not_found"],
    "406": ["not_acceptable"],
    "409": [],
    "410": [],
    "415": ["unsupported_media_type"],
    "422": [],
    "429": ["throttled"],
    "500": ["server_error"],
    "503": [],
}
# Of whoever is known: the call's allowance, of this minute.
LEFT = {
    "RateLimit-Limit": "calls of this kind that you may make in a minute",
    "RateLimit-Remaining": "of which so many are left",
    "RateLimit-Reset": "seconds until all of them are there again",
}
# Of whatever is read, but for what is sent as a stream.
TAG = {"ETag": {"schema": {"type": "string"}, "description": "of this content, for `If-None-Match`"}}
UNCHANGED = "It is as it was when it had the ETag that `If-None-Match` names. Without a body."
# What the page of the API calls its groups, by the first part of the path.
GROUPS = {
    "predict": "What the live models say of photos. Nothing of a photo is kept.",
    "embed": "Vectors of the live backbone.",
    "verify": "Whether two photos are of one person.",
    "search": "Which known person a photo is of, or nobody we know.",
    "feedback": "Corrections of predictions; each becomes a question.",
    "models": "What is live, with its card; promotion and the way back.",
    "promotions": "Models on their way to be live.",
    "sources": "Where photos come from, and how they come in.",
    "photos": "Photos that were taken in.",
    "faces": "Faces of photos.",
    "identities": "People.",
    "labels": "What is believed of faces, as it is exported.",
    "questions": "What people are asked: next, answer, undo, skip.",
    "practice": "Examples to learn the questions by.",
    "answers": "What was answered.",
    "certificates": "Promises under which proposals are accepted.",
    "releases": "Frozen datasets.",
    "runs": "Trainings.",
    "standing": "How far everything is.",
    "erasures": "What was forgotten, with its reports.",
    "holds": "What must not be forgotten yet.",
}
TAKES_PHOTOS = ("predict", "embed", "verify", "search", "feedback")
ENVELOPE = {
    "type": "object",
    "required": ["error", "request_id"],
    "properties": {
        "error": {
            "type": "object",
            "description": "what is wrong",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "description": "for programs; it does not change"},
                "message": {"type": "string", "description": "for people: the value, the cause, the way out"},
                "field": {"type": "string", "description": "that it is about, if it is about one"},
            },
        },
        "request_id": {"type": "string", "description": "also in the header X-Request-ID, and in the server's log"},
    },
}
# By "Schema.field", or by the field alone where it means the same everywhere.
MEANINGS = {
    "id": "number of the row, 1 or more",
    "at": "when, in UTC",
    "created_at": "when it was made, in UTC",
    "started_at": "when work on it began, in UTC; null before",
    "finished_at": "when it ended, in UTC; null before",
    "next": "address of the next page; null on the last",
    "previous": "address of the page before; null on the first",
    "results": "the rows of this page",
    "error": "why it failed; empty if it did not",
    "name": "as people call it",
    "state": "how far it is",
    "source": "id of the source it came from",
    "width": "in pixels",
    "height": "in pixels",
    "elapsed_ms": "milliseconds that the answer took, 0 or more; null if nobody measured",
    "client_id": "UUID made by the client: the same twice is one answer",
    "licence": "under which it may be used; empty if nobody stated it",
    "legal_basis": "on which it may be worked on; empty if nobody stated it",
    "source_url": "where it was found; empty if unknown",
    "total": "of how many; null while nobody knows",
    "pose": "which way the head is turned",
    "quality": "how well it can be seen",
    "faces": "faces",
    "attribute": "real_age, apparent_age, gender or emotion",
    "gender": "female or male; empty if unknown",
    "emotion": "one of the seven; empty if unknown",
    "real_age": "years, 0 to 116; null if unknown",
    "apparent_age": "years that people would say, 0 to 116; null if unknown",
    "duplicate_of": "id of the one that stands for it and its copies; null if it stands for itself",
    "purpose": "why it is made",
    "Answer.question": "id of the question; null for an act without one",
    "Answer.content": "what was said: `verdict`, perhaps `value`, `marks` by face, `name`",
    "Answer.actions": "keys and clicks that it took, 0 or more",
    "Answer.undone_at": "when it was taken back, in UTC; null if it stands",
    "Box.width": "pixels, or a share of the photo's width",
    "Box.height": "pixels, or a share of the photo's height",
    "Certificate.value": "the value, or the range, that it accepts",
    "Face.photo": "id of its photo",
    "Face.number": "which of the photo's faces, from 0",
    "Face.x": "left edge of the box, pixels of the upright photo",
    "Face.y": "upper edge of the box, pixels of the upright photo",
    "Face.score": "of the detector, 0 to 1",
    "Face.points": "x and y of five points in pixels: eyes, nose, corners of the mouth",
    "Face.landmarks": "x and y of the 68 points of the 300-W mark-up, in pixels",
    "Face.chosen": "the most centred of the photo's large faces",
    "Face.yaw": "degrees, −90 to 90; above 0 is turned towards the photo's right",
    "Face.pitch": "degrees, −90 to 90; above 0 is looking up",
    "Face.roll": "degrees, −180 to 180; above 0 is tilted clockwise",
    "Face.sharpness": "variance of the Laplacian of the luma, 0 or more; below 10 is blurred",
    "Face.brightness": "mean luma, 0 to 1",
    "Face.gray": "whether there is no colour in it",
    "Face.truncated": "whether the photo's frame cuts it off",
    "Face.usable": "whether it is good enough to be asked about",
    "Face.unusable_because": "why it is not; empty if it is",
    "Face.verdict": "identity, not_a_face or cannot_tell; null if nobody has said",
    "Face.identity": "id of who it is; null if nobody has said",
    "Identity.name": "empty if nobody knows it",
    "face_count": "of how many faces it is known, 0 or more",
    "source_name": "of the source it came from",
    "Intake.kind": "folder, archive, manifest, upload or labelled",
    "Question.kind": "cluster, pair, grid, value or record",
    "Intake.seen": "files looked at so far",
    "Intake.taken": "photos taken in so far",
    "Intake.copies": "exact copies of photos taken in from it",
    "Intake.known": "files that were there from before",
    "Intake.refused": "files refused, each with its reason",
    "Intake.skipped": "files that are no pictures",
    "Label.face_id": "id of the face",
    "Label.file": "name of the photo in its delivery",
    "Label.source": "name of the source",
    "Label.x": "left edge of the box, pixels of the upright photo",
    "Label.y": "upper edge of the box, pixels of the upright photo",
    "Label.identity_id": "id of who it is; null if unknown",
    "Label.identity_name": "of who it is; empty if unknown",
    "Label.decided_by": "who or what settled who it is",
    "Label.decided_at": "when, in UTC",
    "Label.decision_id": "line of the ledger",
    "Label.evidence": "what it rested on",
    "sha256": "SHA-256 of the file, 64 hexadecimal digits",
    "Model.state": "candidate, live or retired",
    "Model.live_since": "in UTC; null if it never was",
    "Model.retired_at": "in UTC; null if it is not",
    "NextQuestions.questions": "up to ten, held for you for a while",
    "NextQuestions.tally": "what you did today, and what is left",
    "OneOfBatch.prediction": "null if this photo was refused",
    "Photo.file": "its name in its delivery",
    "Photo.format": "jpg, png or webp",
    "Photo.size": "bytes",
    "Photo.query": "search term that it was found by; evidence, not truth",
    "Photo.name": "of whom it is said to be, by its manifest",
    "Photo.caption": "by its manifest",
    "Photo.taken_at": "date on which it was taken; null if unknown",
    "Photo.taken_at_precision": "how much of that date is known: day, month or year; empty if none is",
    "Photo.birth_date": "of its main person, by its manifest; null if unknown",
    "Photo.birth_date_precision": "how much of that date is known: day, month or year; empty if none is",
    "Photo.metadata": "whatever else its manifest said",
    "Photo.received_at": "when it was taken in, in UTC",
    "Photo.faces_sought_at": "when its faces were sought, in UTC; null before",
    "Photo.failure": "why its faces cannot be sought; empty if they can",
    "Preview.identities": "people",
    "Preview.largest_group": "faces of the largest group that must stay in one split",
    "Release.query": "which labels it was asked to hold",
    "Release.checksum": "its id: SHA-256 of what it says; empty until it is done",
    "Release.counts": "faces by split, attribute and value",
    "Release.changes": "against its predecessor",
    "Release.predecessor": "id of the release whose test part it keeps; null for the first",
    "Release.written": "faces written so far",
    "Release.checked_at": "when all files were last hashed anew, in UTC; null if never",
    "Release.damage": "what that found; empty if all was as written",
    "Run.preset": "quick or full",
    "SkipInput.reason": "why; empty if you would rather not say",
    "Source.retention_until": "date after which it must not be kept; null if nobody stated one",
    "Source.rights_stated": "whether licence and legal basis are: only then anything of it is released",
    "Standing.counts": "rows by step of the way",
    "Standing.steps": "how far each step is",
    "Standing.intakes": "deliveries that are under way",
    "Step.done": "how many are",
    "Tally.answered_today": "answers of yours since midnight UTC",
    "Tally.open": "questions that wait, yours and others'",
    "Tally.skipped": "questions that you skipped and may bring back",
    "Upload.outcome": "what became of the file",
    "Upload.photo": "id of the photo; null if it was refused",
    "UsedModel.name": "of the model",
    "Verification.photo_a": "the face that was compared in the first",
    "Verification.photo_b": "the face that was compared in the second",
}


def complete(result: dict[str, Any], generator: object, request: object, public: bool) -> dict[str, Any]:
    """drf-spectacular's last step."""
    schemas = result["components"]["schemas"]
    for name, schema in schemas.items():
        for field, described in schema.get("properties", {}).items():
            meaning = MEANINGS.get(f"{name}.{field}") or MEANINGS.get(field)
            if "description" not in described and meaning:
                # Beside a bare reference nothing counts; inside allOf it does.
                if "$ref" in described:
                    described["allOf"] = [{"$ref": described.pop("$ref")}]
                described["description"] = meaning
    schemas["Error"] = ENVELOPE
    result["components"]["headers"] = {
        name: {"schema": {"type": "integer", "minimum": 0}, "description": told} for name, told in LEFT.items()
    }
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            keyed = any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", []))
            for code in sorted(_may_answer(path, method) | ({"422"} if keyed else set())):
                operation["responses"].setdefault(code, _error(code, path))
            listed = result["paths"].get(path.removesuffix("/{id}"), {}).get("get")
            if listed is not None and operation is not listed and operation["description"] == listed["description"]:
                operation["description"] = "One of them, by its id." if method == "get" else "Make a new one."
            operation["summary"] = _summary(operation["description"])
            for each in operation.get("parameters", []):
                each.setdefault("description", f"id of the {'row' if each['name'] == 'id' else each['name']}")
            for code, answer in operation["responses"].items():
                if code[0] == "2" or code == "429":
                    answer.setdefault("headers", {}).update(_left())
            if method == "get":
                operation["responses"]["200"]["headers"].update(TAG)
                operation["responses"]["304"] = {"description": UNCHANGED, "headers": TAG}
    result["tags"] = [{"name": name, "description": told} for name, told in GROUPS.items()]
    return result


def _summary(description: str) -> str:
    """Its first clause, for the line of the call in a list of all."""
    return re.split(r"[.:;](?:\s|$)", description, maxsplit=1)[0].replace("\n", " ")


def _left() -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in LEFT}


def _may_answer(path: str, method: str) -> set[str]:
    codes = {"400", "401", "403", "406", "429", "500"}
    if "{" in path:
        codes |= {"404", "409", "410"} if "/releases/" in path else {"404"}
    return codes | {"409", "415", "503"} if method == "post" else codes


def _error(status: str, path: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "description": f"{ERRORS[status]} Its `code`: {', '.join(_codes(status, path))}.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    if status == "429":
        told["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
    return told


def _codes(status: str, path: str) -> list[str]:
    """What an error of this status may be called at this address: by anybody, by its app, or as a photo is refused."""
    first = path.removeprefix("/api/v1/").split("/")[0]
    apps = {"inference", "training" if first in ("runs", "models", "evaluations") else "annotation"}
    own = {
        error for error, number in STATUS.items() if str(number) == status and error.__module__.split(".")[0] in apps
    }
    told = {code_of(error) for error in own - {BadPhoto, BadFeedback}}
    if status == "400" and first in TAKES_PHOTOS:
        told |= {refusal.code for refusal in PictureRefused.__subclasses__()} | set(BadPhoto.CODES)
    if status == "400" and first == "feedback":
        told |= set(BadFeedback.CODES)
    return sorted({*CODES[status], *told})
