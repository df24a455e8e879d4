"""Ages by dates that are not what the network sees."""

import numpy as np
import pytest

from annotation import engine, estimates
from annotation.core.estimates import ENOUGH, improbable
from annotation.models import Proposal, Question
from annotation.words import against
from inference.core.attributes import REAL_AGE
from tests.annotation.test_lifetimes import a_dated_face, one_person, say

pytestmark = pytest.mark.django_db


def seen_as(face, years: int, attribute: str = "real_age") -> None:
    belief = np.eye(117)[years].tolist()
    said = {"network": [float(years), 2.0]}
    Proposal.objects.create(
        face=face, attribute=attribute, value=str(years), confidence=1.0, belief=belief, evidence=said
    )


@pytest.fixture
def faces(settings) -> list:
    """People each with one photo and an imported age; the network is 5 years too high, give or take 3."""
    settings.DOUBT_SHARE = 0.02
    found = [a_dated_face(None, age=20 + number) for number in range(60)]
    for number, face in enumerate(found):
        one_person(face)
        seen_as(face, 25 + number + (-3, 0, 3)[number % 3])
    return found


def test_an_age_that_the_network_cannot_believe_is_asked_about_with_the_reason_and_once(faces):
    estimates.ask()
    assert not Question.objects.exists()  # a bias that all share speaks against nobody

    Proposal.objects.filter(face=faces[10]).delete()
    seen_as(faces[10], 80)
    engine.think(REAL_AGE)

    (question,) = Question.objects.filter(kind="record", state="open")
    assert list(question.shown.values_list("face", flat=True)) == [faces[10].pk]
    assert against(question.reason).startswith("The network sees about 80 years, the dates or the record say 30.5")
    say(question, **{f"_{faces[10].pk}": "wrong_date"})
    assert estimates.ask() == 0


def test_no_more_than_the_set_share_is_asked_about(faces):
    for face in faces[:4]:
        Proposal.objects.filter(face=face).delete()
        seen_as(face, 110)
    assert estimates.ask() == 1  # of 60 faces, 2 %
    assert estimates.ask() == 0


def test_what_other_photos_of_the_person_say_is_not_asked_about(faces):
    """They may share the wrong date: the network alone has seen none."""
    Proposal.objects.filter(face=faces[3]).update(belief=np.eye(117)[100].tolist())
    assert estimates.ask() == 0


def test_the_usual_error_is_that_near_the_age_and_few_ages_say_nothing():
    rng = np.random.default_rng(0)
    known = np.sort(rng.uniform(0, 80, 1_000))
    estimated = known + rng.normal(0, np.where(known < 20, 1.0, 8.0))
    half = np.zeros(1_000)
    child, old = int(np.searchsorted(known, 8)), int(np.searchsorted(known, 60))
    estimated[[child, old]] = known[[child, old]] + 12
    off = improbable(estimated, known, half)
    assert off[child] > 6
    assert off[old] < 3
    assert (off > 4).mean() < 0.005
    assert not improbable(estimated[: ENOUGH - 1], known[: ENOUGH - 1], half[: ENOUGH - 1]).any()
    assert improbable(estimated, known, half + 20)[child] == 0  # a date that vague contradicts nothing
