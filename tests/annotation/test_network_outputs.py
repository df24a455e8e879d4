"""What each network says is kept beside what others say; beliefs and certificates rest on the live one."""

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.test.utils import CaptureQueriesContext

from annotation import engine, proposals, tasks
from annotation.models import Calibration, Certificate, Face, NetworkOutput, Proposal
from annotation.proposals import unpacked
from inference import registry
from inference.core.attributes import ATTRIBUTES, GENDER
from inference.models import ModelVersion
from tests.factories import a_face, a_proposal, a_version, an_output
from tests.networks import a_seen_face, play_networks

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def networks(monkeypatch, settings, tmp_path) -> dict[int, float]:
    settings.MEDIA_ROOT = tmp_path
    return play_networks(monkeypatch)


def another(task: str = "gender") -> ModelVersion:
    return a_version(task=task, name="another", state="candidate")


def flip(version: ModelVersion) -> None:
    ModelVersion.objects.filter(task=version.task, state="live").update(state="retired")
    ModelVersion.objects.filter(pk=version.pk).update(state="live")


def test_each_live_network_looks_once_at_a_face():
    face = a_seen_face()
    assert proposals.propose([face]) == 3
    assert proposals.propose([face]) == 0
    assert {each.version for each in NetworkOutput.objects.all()} == set(registry.ensure_attributes().values())
    assert not proposals.without_proposal(Face.objects.all()).exists()
    gender = Proposal.objects.get(attribute="gender")
    assert (gender.network, gender.value, gender.evidence) == (
        registry.live("gender"),
        "female",
        {"network": [0.99, 0.01]},
    )


def test_a_candidates_word_is_kept_and_changes_no_proposal(networks):
    face, candidate = a_seen_face(), another()
    proposals.propose([face])
    networks[candidate.pk] = 0.2
    assert list(proposals.without_output(candidate)) == [face]

    assert proposals.look([face], candidate) == 1

    assert not proposals.without_output(candidate).exists()
    assert unpacked(NetworkOutput.objects.get(version=candidate).belief)[0] == pytest.approx(0.2)
    assert Proposal.objects.get(attribute="gender").network == registry.live("gender")
    assert proposals.look([face], candidate) == 0


def test_a_candidate_waits_for_the_live_networks_look():
    """So that whoever has an output of a network that becomes live has a proposal, too."""
    a_seen_face()
    assert not proposals.without_output(another()).exists()


def test_a_face_whose_crop_is_gone_is_told_and_holds_nobody_up():
    face = a_seen_face()
    proposals.propose([face])
    default_storage.delete(face.crop_key)

    assert proposals.look([face], candidate := another()) == 0

    face.refresh_from_db()
    assert "FileNotFoundError" in face.failure
    assert not proposals.without_output(candidate).exists()


def test_another_live_network_is_learnt_from_anew_and_certificates_begin_again(networks):
    faces, candidate = [a_seen_face() for _ in range(3)], another()
    proposals.propose(faces)
    first = engine.think(GENDER)
    held = Certificate.objects.create(
        attribute="gender", value="female", threshold=0.9, target=0.01, audited=400, wrong=0, bound=0.009,
        coverage=0.6, calibration=first,
    )  # fmt: skip
    networks[candidate.pk] = 0.2
    proposals.look(faces, candidate)
    assert not engine._learnt_enough(GENDER, first)

    flip(candidate)

    assert engine.behind(GENDER)
    again = engine.think(GENDER)
    assert (again.network, again.version) == (candidate, first.version)
    assert {(row.network_id, row.value) for row in Proposal.objects.filter(attribute="gender")} == {
        (candidate.pk, "male")
    }
    held.refresh_from_db()
    assert held.state != Certificate.State.VALID
    assert engine.think(GENDER) == again


def test_a_head_learns_from_what_the_live_network_sees_and_from_no_other(networks):
    face, candidate = a_seen_face(), another()
    proposals.propose([face])
    networks[candidate.pk] = 0.2
    proposals.look([face], candidate)
    faces = np.array([face.pk])
    for version, female in ((registry.live("gender"), 0.99), (candidate, 0.2)):
        _, vectors = proposals.vectors_of(GENDER, faces, registry.live(), version)
        assert vectors[0] == pytest.approx(np.array([female, 1]) / np.hypot(female, 1), abs=1e-3)


def test_without_an_own_network_that_tells_the_backbones_vectors_are_learnt_from():
    face = a_seen_face()
    an_output(face, registry.network_of("gender"), [0.9, 0.1])
    _, vectors = proposals.vectors_of(GENDER, np.array([face.pk]), registry.live(), registry.network_of("gender"))
    assert vectors.shape == (1, registry.live().dimensions)


def test_who_came_in_another_networks_time_keeps_their_belief_until_they_are_looked_at(networks):
    old, candidate = registry.network_of("gender"), another()
    known, late = a_seen_face(), a_seen_face()
    proposals.propose([known])
    proposals.look([known], candidate)
    flip(candidate)
    proposals.propose([late])
    engine.think(GENDER)
    before = Proposal.objects.get(face=late, attribute="gender")
    ModelVersion.objects.filter(pk=candidate.pk).update(state="retired")
    ModelVersion.objects.filter(pk=old.pk).update(state="live")

    held = engine.think(GENDER)
    kept = Proposal.objects.get(face=late, attribute="gender")
    assert (kept.network, kept.calibration, kept.belief) == (candidate, before.calibration, before.belief)
    assert list(proposals.without_proposal(Face.objects.all())) == [late]
    proposals.propose([late])
    assert engine.think(GENDER) == held
    assert Proposal.objects.get(face=late, attribute="gender").network == old
    assert Calibration.objects.filter(attribute="gender").count() == 2


def test_what_nobody_is_asked_about_says_what_the_live_network_says(networks, settings, monkeypatch):
    settings.ASKED, task = ["emotion"], "gender"
    faces, candidate = [a_seen_face() for _ in range(3)], another(task)
    proposals.propose(faces)
    networks[candidate.pk] = 0.01
    proposals.look(faces, candidate)
    assert not proposals.behind_network(ATTRIBUTES[task]).exists()
    flip(candidate)

    sent = list[str]()
    monkeypatch.setattr(tasks.follow, "delay", sent.append)
    monkeypatch.setattr(tasks, "feed_belt", lambda: None)
    monkeypatch.setattr(tasks.draw_map, "delay", lambda: None)
    tasks.sweep()
    assert sent == [task]
    tasks.follow(task)

    rows = Proposal.objects.filter(attribute=task)
    assert {row.network_id for row in rows} == {candidate.pk}
    assert all(row.belief[0] == pytest.approx(0.01, abs=1e-4) for row in rows)
    assert not proposals.behind_network(ATTRIBUTES[task]).exists()


def test_queries_are_as_many_for_many_faces_as_for_few():
    counts, _ = [], registry.ensure_live()
    for count in (2, 20):
        for _ in range(count):
            a_proposal(a_face(), [0.9, 0.1])
        with CaptureQueriesContext(connection) as queries:
            proposals._load(GENDER, registry.ensure_live(), registry.network_of("gender"))
        counts.append(len(queries))
    assert counts[0] == counts[1]
