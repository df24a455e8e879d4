"""What the description promises, held against what the API does: schemathesis makes up the requests.

Of each call some that are right by the description and some that are not, at what there is and at what there is not.
No answer may be a failure of the server; none may have a status, a header, a type of content or a body that is not
described.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
import yaml
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pytest_django import Settings
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from annotation import tasks, tokens
from annotation.models import User
from tests.annotation.test_releases import released, some_labelled
from tests.factories import a_certificate, a_face, a_grid, a_pair, a_person, a_picture, a_question, a_user

pytestmark = [pytest.mark.django_db, pytest.mark.once]

DESCRIPTION = yaml.safe_load(Path(__file__).with_name("schema.yaml").read_text())
HELD = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EACH = 5  # requests to each call that are right by the description, and as many that are not


@pytest.fixture
def key(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A token of an admin that opens all there is, beside a little of everything to ask for."""
    settings.RELEASES_DIR = tmp_path
    monkeypatch.setattr(tasks.verify_release, "delay", lambda pk: pk)  # there is no queue
    settings.REQUESTS_A_MINUTE = settings.PREDICTIONS_A_MINUTE = 10**9
    some_labelled(1)
    released()
    face = a_face()
    a_picture(face.photo)
    a_person([face], name="Ada")
    a_pair(a_person(), a_person())
    a_question()
    a_grid([a_face(), a_face()])
    a_certificate()
    return tokens.make(owner=a_user(role=User.Role.ADMIN), name="schemathesis", scopes=["admin"], days=1)[1]


@pytest.fixture
def application() -> Iterator[WSGIHandler]:
    """The site as a server calls it, but for the end of a request, which would close the test's own connection."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield WSGIHandler()
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def test_the_api_does_what_its_description_says(application: WSGIHandler, key: str):
    schema = schemathesis.openapi.from_dict(DESCRIPTION)
    schema.app = application
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 50

    faults = {fault for each in operations for mode in GenerationMode for fault in _faults(each, mode, key)}

    assert not faults, "\n\n".join(sorted(faults))


def _faults(operation: APIOperation, mode: GenerationMode, key: str) -> set[str]:
    """All of them, so that one run tells what there is to mend. Whatever a request changes is taken back."""
    faults = set()

    @examples(
        max_examples=EACH,
        phases=[Phase.generate],
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), there=st.booleans())
    def hold(case: Case, there: bool) -> None:
        if there and "id" in case.path_parameters:
            case.path_parameters["id"] = 1
        before = transaction.savepoint()
        answer = case.call(headers={"Authorization": f"Bearer {key}"})
        transaction.savepoint_rollback(before)
        try:
            case.validate_response(answer, checks=HELD)
        except FailureGroup as found:
            faults.update(f"{operation.label}: {each} {answer.text[:300]}" for each in found.exceptions)

    hold()
    return faults
