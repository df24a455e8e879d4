"""The description of the API: complete, without a doubt, and not changed without the changelog saying so."""

import hashlib
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from django.core.management import call_command
from django.test import Client

from annotation.errors import BadFeedback
from dager_site.api_errors import STATUS, code_of
from dager_site.schema import ERRORS
from inference.core.images import PictureRefused
from inference.errors import BadPhoto

pytestmark = pytest.mark.once

KEPT = Path(__file__).with_name("schema.yaml")
CHANGELOG = Path(__file__).resolve().parents[2] / "CHANGELOG.md"
REFUSALS = [refusal.code for refusal in PictureRefused.__subclasses__()]
WAY_OUT = "Run `python manage.py spectacular --file tests/dager_site/schema.yaml`"


@pytest.fixture(scope="module")
def text() -> str:
    told = StringIO()
    call_command("spectacular", "--fail-on-warn", "--validate", stdout=told)
    return told.getvalue()


@pytest.fixture(scope="module")
def schema(text: str) -> dict[str, Any]:
    return yaml.safe_load(text)


def test_a_change_is_in_the_kept_description_and_in_the_changelog(text: str):
    assert text.strip() == KEPT.read_text().strip(), f"The API changed. {WAY_OUT} and say in CHANGELOG.md what is new."
    mark = hashlib.sha256(text.strip().encode()).hexdigest()[:8]
    assert f"`{mark}`" in CHANGELOG.read_text(), f"Say in CHANGELOG.md what is new in the API, of description `{mark}`."


def test_every_field_says_what_it_means(schema: dict[str, Any]):
    fields = {
        f"{name}.{field}": described
        for name, each in schema["components"]["schemas"].items()
        for field, described in each.get("properties", {}).items()
    }
    assert len(fields) > 300
    assert [name for name, described in fields.items() if not described.get("description")] == []


def test_every_parameter_and_every_part_of_a_body_says_what_it_means(schema: dict[str, Any]):
    unsaid = []
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            called = f"{method} {path}"
            unsaid += [(called, each["name"]) for each in operation.get("parameters", []) if not each["description"]]
            bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
            for described in [kind["schema"] for body in bodies for kind in body.get("content", {}).values()]:
                if described.get("type") == "object" and not described.get("properties"):
                    unsaid.append((called, "a body"))
                fields = described.get("properties", {}).items()
                unsaid += [(called, name) for name, field in fields if not _says(field)]
    assert not unsaid


def _says(field: dict[str, Any]) -> bool:
    return bool(field.get("description") or field.get("items", {}).get("description"))


# What looks at photos and makes nothing; of a photo no answer is kept either.
MAKES_NOTHING = {"predict", "predict/batch", "embed", "verify", "search"}


def test_whatever_makes_or_changes_something_takes_a_key_and_whatever_is_read_has_a_tag(schema: dict[str, Any]):
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            taken = {each["name"] for each in operation.get("parameters", [])}
            makes = method == "post" and path.removeprefix("/api/v1/") not in MAKES_NOTHING
            assert ("Idempotency-Key" in taken) == makes, (method, path)
            assert ("304" in operation["responses"]) == (method == "get"), (method, path)


def test_every_call_says_what_it_does_and_which_errors_it_may_answer(schema: dict[str, Any]):
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            assert {"400", "401", "403", "406", "429", "500"} <= set(operation["responses"]), (path, method)
            assert ("404" in operation["responses"]) >= ("{" in path), (path, method)
            assert operation["security"] == [{"token": []}, {"cookieAuth": []}], (path, method)


def test_every_call_stands_in_a_group_with_a_line_of_its_own(schema: dict[str, Any]):
    calls = [(path, method, call) for path, calls in schema["paths"].items() for method, call in calls.items()]
    assert {tag for *_, call in calls for tag in call["tags"]} == {tag["name"] for tag in schema["tags"]}
    assert [(path, method) for path, method, call in calls if not 5 < len(call["summary"]) < 110] == []
    told = [(call["tags"][0], call["summary"]) for *_, call in calls]
    assert len(set(told)) == len(told)  # one of a list and the list are told apart


def test_every_error_of_ours_stands_at_a_call_with_its_code(schema: dict[str, Any]):
    told = {
        status: " ".join(
            operation["responses"][status]["description"]
            for operations in schema["paths"].values()
            for operation in operations.values()
            if status in operation["responses"]
        )
        for status in ERRORS
    }
    for error, status in STATUS.items():
        of_each = {BadPhoto: [*REFUSALS, *BadPhoto.CODES], BadFeedback: BadFeedback.CODES}
        for code in of_each.get(error) or [code_of(error)]:
            assert f" {code}" in told[str(status)], error


def test_so_do_those_that_django_answers_by_itself(schema: dict[str, Any], client: Client):
    client.raise_request_exception = False
    told = schema["paths"]["/api/v1/photos"]["get"]["responses"]
    asked = client.get("/api/v1/photos", headers={"host": "another.example.org"})
    with patch("rest_framework.views.APIView.initial", side_effect=ZeroDivisionError):
        failed = client.get("/api/v1/photos")

    for answer in (asked, failed):
        assert answer.json()["error"]["code"] in told[str(answer.status_code)]["description"]
    assert (asked.status_code, failed.status_code) == (400, 500)
