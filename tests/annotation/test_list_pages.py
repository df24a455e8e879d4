"""Every list page takes as many SQL queries for many rows as for a few."""

from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from annotation.answers import record_answer
from tests.benchmarks.list_pages import PAGES
from tests.factories import (
    a_cluster,
    a_face,
    a_pair,
    a_person,
    a_question,
    a_run,
    a_single,
    a_source,
    a_user,
    an_annotator,
)

pytestmark = pytest.mark.django_db


def some_of_everything(curator) -> None:
    a_cluster([a_face(), a_face()])
    a_pair(a_person(2, name="Body 77"), a_person(3))
    a_source()
    a_run(state="discarded")
    said = {"verdict": "value", "value": "female"}
    for who in (curator, an_annotator()):
        record_answer(question_id=a_single().pk, annotator=who, client_id=uuid4(), content=said)
    a_single(purpose="verdict")
    record_answer(question_id=a_question(2).pk, annotator=curator, client_id=uuid4(), content={"verdict": "one_person"})


def queries(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as told:
        assert client.get(address).status_code == 200
    return len(told)


def test_a_list_takes_as_many_queries_for_many_rows_as_for_a_few(client: Client):
    curator = a_user("carol")
    client.force_login(curator)
    some_of_everything(curator)
    for address in PAGES.values():
        client.get(address)  # whatever is looked up once per process has been
    few = {name: queries(client, address) for name, address in PAGES.items()}

    for _ in range(4):
        some_of_everything(curator)

    assert {name: queries(client, address) for name, address in PAGES.items()} == few
