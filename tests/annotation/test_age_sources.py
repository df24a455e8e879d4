"""Ages are believed as other attributes are: by all sources that speak, each with its evidence, as the control slice
taught; and what rests on a date or a person that changed is made anew, and no other."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from scipy.stats import norm

from annotation import engine, ledger, proposals, votes
from annotation.models import AttributeLabel, Calibration, Decision, Face, NetworkOutput, Photo, Proposal
from annotation.proposals import packed
from inference import registry
from inference.core.attributes import APPARENT_AGE, REAL_AGE
from inference.core.years import interval, median
from tests.annotation.test_lifetimes import a_dated_face, one_person, say, the_question
from tests.factories import a_face, a_photo, a_user, a_version, an_embedding

pytestmark = pytest.mark.django_db

FACES = 80


@pytest.fixture(autouse=True)
def _no_control_slice(settings) -> None:
    settings.CONTROL_SHARE = 0.0


def seen_as(faces: Sequence[Face], years: Sequence[float]) -> None:
    """What the network sees; so far it alone is heard."""
    version, told = registry.network_of("apparent_age"), []
    for face, age in zip(faces, years, strict=True):
        belief = norm.pdf(np.arange(117), age, 2)
        told.append(NetworkOutput.objects.create(face=face, version=version, belief=packed(belief / belief.sum())))
    proposals._propose_as_told(version, told)


@pytest.fixture
def faces() -> list[Face]:
    """Faces whose record says their age; the network sees them, ten years off to both sides, and vectors tell well."""
    version, rng = a_version(dimensions=8), np.random.default_rng(0)
    ages = np.linspace(5, 84, FACES).astype(int)
    made = [a_dated_face(None, age=int(age)) for age in ages]
    for face, age in zip(made, ages, strict=True):
        place = np.zeros(8)
        place[:2] = np.cos(age / 60), np.sin(age / 60)
        an_embedding(face, version, place + rng.normal(0, 0.01, 8))
    seen_as(made, np.clip(ages + rng.normal(0, 10, FACES), 0, 110))
    return made


def of(face: Face, attribute: str = "real_age") -> Proposal:
    return Proposal.objects.get(face=face, attribute=attribute)


def beliefs() -> dict[int, list[float]]:
    return dict(Proposal.objects.filter(attribute="real_age").values_list("face_id", "belief"))


def thought() -> int:
    engine.think(REAL_AGE)
    return Decision.objects.latest("pk").pk


def test_both_ages_are_proposed_by_the_one_network_until_there_is_another(faces):
    real, apparent = (of(faces[0], name) for name in ("real_age", "apparent_age"))
    assert real.network == apparent.network == registry.live("apparent_age")
    assert real.evidence == apparent.evidence
    own = a_version(task="real_age", name="own", state="live")
    assert registry.network_of("real_age") == own
    assert registry.network_of("apparent_age") == apparent.network
    assert not proposals.fresh(REAL_AGE).exists()  # till it has looked, the beliefs stay


def test_what_all_sources_say_is_nearer_than_what_the_network_sees_and_kept_as_evidence(faces, settings):
    settings.CONTROL_SHARE = 1.0
    held = engine.think(REAL_AGE)

    assert held.answers == FACES
    assert 0 <= held.error < 0.2
    assert held.diagram["count"] == [FACES] * 9
    ages = [float(AttributeLabel.objects.get(face=face).value) for face in faces]
    rows = [of(face) for face in faces]
    assert {name for row in rows for name in row.evidence} == {"network", "head", "neighbours"}
    fused = np.mean([abs(float(row.value) - age) for row, age in zip(rows, ages, strict=True)])
    seen = np.mean([abs(row.evidence["network"][0] - age) for row, age in zip(rows, ages, strict=True)])
    assert fused < seen / 2
    within = [
        low - 1 <= age <= high + 1 for (low, high), age in zip([interval(r.belief) for r in rows], ages, strict=True)
    ]
    assert np.mean(within) > 0.8
    assert all(row.calibration == held and sum(row.belief) == pytest.approx(1, abs=1e-3) for row in rows)
    assert all(row.value == str(median(row.belief)) for row in rows)


def test_calibrators_of_ages_learn_from_the_control_slice_alone(faces, settings):
    assert engine.think(REAL_AGE).answers == 0
    settings.CONTROL_SHARE = 0.5
    assert proposals.learn(REAL_AGE).answers == len(votes.control_known(votes.known_of(REAL_AGE))) < FACES


def test_apparent_ages_are_calibrated_on_guesses_and_hear_the_real_age(faces, settings):
    settings.CONTROL_SHARE = 1.0
    lines = []
    for face in faces[::2]:
        age = float(AttributeLabel.objects.get(face=face).value)
        line = Decision(kind="value", face=face, attribute="apparent_age", value=f"{age - 3:.2f}", by="import")
        line.detail = {"deviation": 4.0, "guesses": 10}
        lines.append(line)
    ledger.write(lines)
    held = engine.think(APPARENT_AGE)
    assert held.answers == FACES // 2
    real = float(AttributeLabel.objects.get(face=faces[1], attribute="real_age").value)
    assert of(faces[1], "apparent_age").evidence["metadata"] == pytest.approx([real, np.hypot(0.5, 5)], abs=1e-4)
    labels = AttributeLabel.objects.filter(attribute="real_age")
    looks = {face: float(value) - 3 for face, value in labels.values_list("face_id", "value")}
    off = [abs(float(of(face, "apparent_age").value) - looks[face.pk]) for face in faces[1::2]]
    assert np.mean(off) < 3


def test_another_dated_photo_of_the_person_tells_the_age_by_the_years_between(faces):
    known, other = a_dated_face(1990, age=30), a_dated_face(2005)
    one_person(known, other)
    seen_as([known, other], [33, 60])
    engine.think(REAL_AGE)
    mean, spread = of(other).evidence["identity"]
    assert mean == pytest.approx(45.5, abs=0.1)
    assert spread <= 1.0
    assert abs(of(other).evidence["identity"][0] - 45) < abs(of(other).evidence["network"][0] - 45)


def test_an_age_by_a_birth_date_is_not_told_by_the_same_birth_date_again(faces):
    """Else the calibration would learn that dates are never wrong."""
    born, other = a_dated_face(1990, born=1970), a_dated_face(2000)
    one_person(born, other)
    seen_as([born, other], [50, 60])
    engine.think(REAL_AGE)
    assert AttributeLabel.objects.get(face=other).value == "30.00"
    assert "metadata" not in of(other).evidence
    assert of(other).evidence["identity"][0] == pytest.approx(60, abs=0.1)  # what the network sees on the other photo


def test_a_record_beside_dates_is_told_by_them(faces):
    face = a_dated_face(2000, born=1970, age=31)
    seen_as([face], [50])
    engine.think(REAL_AGE)
    assert of(face).evidence["metadata"] == pytest.approx([30.0, 0.5], abs=0.01)


def test_who_turns_out_to_be_somebody_else_is_believed_anew_with_their_person_and_no_other(faces):
    photos = [a_dated_face(1990 + 5 * number, age=30 + 5 * number) for number in range(3)]
    person = one_person(*photos)
    seen_as(photos, [30, 35, 40])
    since, before = thought(), beliefs()
    ledger.undo(list(Decision.objects.filter(kind="label", identity=person, face=photos[0])), person=a_user())
    engine.think(REAL_AGE, since=since)
    after = beliefs()
    assert Calibration.objects.filter(attribute="real_age").count() == 1
    changed = {face for face in after if after[face] != before[face]}
    assert photos[0].pk in changed
    assert changed <= {face.pk for face in photos}
    assert "identity" not in of(photos[0]).evidence
    assert not Proposal.objects.filter(attribute="real_age", calibration=None).exists()


def test_a_date_that_somebody_called_wrong_says_nothing_any_more(faces):
    photos = [a_dated_face(year, born=1970) for year in (1990, 1995)] + [a_dated_face(1960)]
    one_person(*photos)
    seen_as(photos, [20, 25, 40])
    since = thought()
    assert "identity" in of(photos[2]).evidence
    say(the_question(), **{f"_{photos[2].pk}": "wrong_date"})
    engine.think(REAL_AGE, since=since)
    assert "identity" not in of(photos[2]).evidence


def test_a_real_age_that_comes_in_is_heard_of_the_apparent_one(faces):
    late = a_dated_face(2000)
    seen_as([late], [40])
    engine.think(APPARENT_AGE)
    since = Decision.objects.latest("pk").pk
    assert "metadata" not in of(late, "apparent_age").evidence
    line = Decision(
        kind="value", face=late, attribute="real_age", value="30.50", by="import", detail={"low": 30, "high": 31}
    )
    ledger.write([line])
    engine.think(APPARENT_AGE, since=since)
    assert of(late, "apparent_age").evidence["metadata"][0] == 30.5


def test_while_photos_come_in_few_fresh_faces_wait_and_at_rest_none(faces):
    since = thought()
    waiting, late = a_photo(faces_sought_at=None), a_dated_face(None)
    seen_as([late], [40])
    engine.think(REAL_AGE, since=since)
    assert of(late).calibration is None
    Photo.objects.filter(pk=waiting.pk).update(faces_sought_at=timezone.now())
    engine.think(REAL_AGE, since=since)
    assert of(late).calibration is not None
    Photo.objects.filter(pk=waiting.pk).update(faces_sought_at=None)
    many = [a_dated_face(None) for _ in range(10)]
    seen_as(many, [40] * 10)
    engine.think(REAL_AGE, since=since)
    assert of(many[0]).calibration is not None


def test_a_vague_record_teaches_nothing(faces):
    vague = a_face()
    line = Decision(
        kind="value", face=vague, attribute="real_age", value="28.50", by="import", detail={"low": 25, "high": 32}
    )
    ledger.write([line])
    assert vague.pk not in votes.known_of(REAL_AGE).value
    assert faces[0].pk in votes.known_of(REAL_AGE).value


def test_the_pages_show_the_evidence_and_how_far_ages_can_be_believed(faces, settings, client: Client):
    settings.CONTROL_SHARE = 1.0
    Photo.objects.filter(pk=faces[3].photo_id).update(taken_at=date(2000, 1, 1), taken_at_precision="day")
    held = engine.think(REAL_AGE)
    client.force_login(a_user())
    page = client.get(reverse("engine")).content.decode()
    assert f"Calibrated on {FACES} control answers" in page
    assert f"expected calibration error {held.error:.4f}" in page
    assert "intervals for 0.9 hold" in page
    face = client.get(reverse("face", args=[faces[3].pk])).content.decode()
    low, high = interval(of(faces[3]).belief)
    assert f"({low}–{high} nine times in ten)" in face
    mean, spread = of(faces[3]).evidence["head"]
    assert f"head: {mean:.0f} ± {spread:.1f}" in face
