"""Which faces stand together on a page, and which page is asked about first."""

import pytest
from django.db import connection

from annotation import ledger, routing
from annotation.core.worth import GRID
from annotation.models import AttributeLabel, Calibration, Decision, Face, Question
from annotation.routing import Candidate, _by_chance, _first, _pages
from inference.core.attributes import GENDER
from tests.factories import a_face, a_proposal


def faces_of(*voters: int, count: int, first: int) -> list[Candidate]:
    return [Candidate(face, "", "happy", 0.9, 1, voters) for face in range(first, first + count)]


def test_what_somebody_spoke_of_stands_apart_and_as_many_peoples_together_as_leave_others_to_ask():
    new = faces_of(count=GRID + 3, first=0)
    said = [*faces_of(1, count=4, first=100), *faces_of(2, count=4, first=200), *faces_of(3, count=4, first=300)]
    by_two = faces_of(1, 2, 3, count=2, first=400)

    pages = list(_pages([*new, *said, *by_two], 2))

    assert [len(page) for page in pages] == [GRID, 3, 8, 4, 2]
    assert [{person for each in page for person in each.voters} for page in pages] == [
        set(),
        set(),
        {1, 2},
        {3},
        {1, 2, 3},
    ]
    assert [each for page in pages for each in page] == [*new, *said, *by_two]


def test_with_two_who_answer_each_ones_faces_are_the_others():
    said = [*faces_of(1, count=2, first=0), *faces_of(2, count=2, first=10)]

    assert [len(page) for page in _pages(said, 1)] == [2, 2]
    assert [len(page) for page in _pages(said, 0)] == [2, 2]


def test_a_full_page_comes_before_a_worthier_one_that_may_fill_yet_unless_an_audit_waits_for_it():
    full, few = faces_of(count=GRID, first=0), faces_of(1, count=3, first=100)
    grids = [(Question(worth=2.0), few), (Question(worth=1.0), full)]

    assert [faces for _, faces in _first(grids, audited=())] == [full, few]
    assert [faces for _, faces in _first(grids, audited={101})] == [few, full]


@pytest.mark.django_db
@pytest.mark.parametrize(("faces", "asked"), [(40, True), (140, False)])
def test_sure_proposals_wait_for_control_answers_only_where_enough_of_these_can_come(settings, faces, asked):
    """Half of them are of the control slice; with 50 answers about it a certificate may accept the others unseen."""
    settings.CONTROL_SHARE = 0.5
    held = Calibration.objects.create(attribute="gender", sources=[], weights=[], bias=[], answers=0)
    for _ in range(faces):
        a_proposal(a_face(), [0.99, 0.01], calibration=held)

    routing.route(GENDER, held)

    assert Question.objects.filter(purpose="work").exists() == asked
    assert Question.objects.filter(purpose="control").exists()


@pytest.mark.django_db
def test_gold_comes_in_an_order_that_only_the_site_knows(settings):
    faces = [a_face() for _ in range(12)]
    ledger.write([Decision(kind="value", face=face, attribute="gender", value="male", by="import") for face in faces])

    def order(secret: str) -> list[int]:
        settings.SECRET_KEY = secret
        return list(AttributeLabel.objects.order_by(_by_chance()).values_list("face_id", flat=True))

    by_hash = list(Face.objects.order_by("photo__sha256", "number").values_list("pk", flat=True))
    assert order("one") == order("one")
    assert sorted(order("one")) == sorted(by_hash)
    assert len({tuple(each) for each in (order("one"), order("other"), by_hash)}) == 3


@pytest.mark.django_db
@pytest.mark.services  # SQLite knows no cursor of which it reads the start only
def test_gold_is_not_read_in_the_order_of_an_index():
    """PostgreSQL did that, as it takes few labels to fit, and for each photo in order looked through all of them."""
    labels = AttributeLabel.objects.filter(attribute="gender", decision__evidence__belief__gte=0.98)
    sql, params = labels.order_by(_by_chance()).query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = off")  # only what has no other way sorts then
        cursor.execute(f"EXPLAIN DECLARE gold CURSOR FOR {sql}", params)
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert "Sort Key: (" in plan
