"""A labelled source replayed as people's answers: the very engine, in a database of its own."""

from collections import Counter
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotation import engine, ledger, rehearsal
from annotation.core.plots import figure_of, rehearsal_plots
from annotation.errors import NothingToRehearse
from annotation.management.commands.rehearse import report_of
from annotation.models import (
    Answer,
    AttributeLabel,
    Decision,
    Embedding,
    Identity,
    Label,
    Proposal,
    Question,
    Source,
    User,
)
from inference.models import ModelVersion
from tests.annotation.test_engine import a_corpus
from tests.factories import a_version

pytestmark = [pytest.mark.django_db, pytest.mark.once]  # what is copied into its scratch database is SQLite's

FACES = 300


@pytest.fixture
def source() -> Source:
    return a_labelled_source(FACES)


def a_labelled_source(faces: int) -> Source:
    """Faces of two genders that their vectors tell apart, labelled by a set; every tenth proposal is wrong."""
    version = a_version()
    truth = a_corpus(faces, sure=0.9)
    rng = np.random.default_rng(0)
    vectors = {face: rng.normal(0, 0.1, version.dimensions) for face in truth}
    for face, value in truth.items():
        vectors[face][0] += 1.0 if value == "female" else -1.0
    Embedding.objects.bulk_create(
        Embedding(face_id=face, version=version, vector=vector.astype("<f2").tobytes())
        for face, vector in vectors.items()
    )
    ledger.write(
        [
            Decision(kind="value", face_id=face, attribute="gender", value=value, by="import")
            for face, value in truth.items()
        ]
    )
    return Source.objects.get()


def rehearse(source: Source, **plan) -> rehearsal.Outcome:
    return rehearsal.rehearse(source, rehearsal.Plan(("gender",), **plan))


def test_the_engine_is_rehearsed_beside_the_other_ways_and_leaves_nothing_behind(source, tmp_path):
    before = (AttributeLabel.objects.count(), Proposal.objects.count(), Decision.objects.count())
    told = rehearse(source)

    assert told.known["gender"] == FACES
    assert told.last.labelled["gender"] >= 0.98 * FACES
    assert told.last.right["gender"] >= 0.97 * told.last.labelled["gender"]
    assert told.last.actions == told.actions_for["gender"] < FACES
    ways = {each.name: each for each in told.baselines}
    assert ways["one answer each"].actions == FACES
    assert ways["three answers each, the majority"].right >= ways["one answer each"].right
    assert ways["the network, unquestioned"].right == pytest.approx(0.9 * FACES, abs=0.06 * FACES)
    assert ways["active learning by margin"].actions == told.last.actions
    assert ways[rehearsal.NO_METADATA].labelled == 0  # no photo has a search term: said, not left out
    assert (AttributeLabel.objects.count(), Proposal.objects.count(), Decision.objects.count()) == before
    assert not Answer.objects.exists()
    assert not Question.objects.exists()
    (path,) = rehearsal_plots(told.as_json(), tmp_path)
    assert path.stat().st_size > 10_000


def test_the_same_seed_gives_the_same_figures_and_slips_cost():
    source = a_labelled_source(80)
    one, again = rehearse(source, seed=3), rehearse(source, seed=3)
    assert (one.last, one.asked) == (again.last, again.asked)
    assert rehearse(source, seed=3, slips=0.0).last.right["gender"] >= one.last.right["gender"]


def test_people_may_mark_what_a_grid_shows_without_saying_what_it_is(monkeypatch):
    source, record = a_labelled_source(80), rehearsal.record_answer
    said = Counter[str]()

    def listen(*, content, **answer):
        said.update(content.get("marks", {}).values())
        return record(content=content, **answer)

    monkeypatch.setattr(rehearsal, "record_answer", listen)
    named = rehearse(source, slips=0.0, bare=0.0)
    assert said
    assert "other" not in said
    said.clear()

    bare = rehearse(source, slips=0.0, bare=1.0)
    assert set(said) == {"other"}
    assert (bare.last.labelled["gender"], bare.last.right["gender"]) == (80, 80)
    # Of two values "not this" is the other one: neither slips nor words differ.
    assert bare.last.actions == named.last.actions


def test_who_is_paused_answers_no_more_and_the_others_go_on(monkeypatch):
    source, think = a_labelled_source(80), engine.think

    def think_and_pause(attribute, **options):
        think(attribute, **options)
        if Answer.objects.exists():
            User.objects.filter(username="annotator0").update(paused_at=timezone.now())

    monkeypatch.setattr(engine, "think", think_and_pause)
    told = rehearse(source)

    assert told.last.labelled["gender"] >= 0.95 * 80


def test_what_waits_for_a_second_word_where_all_have_spoken_the_curator_says():
    """One annotator contradicts the machine, and nobody else is asked: those faces waited for ever."""
    told = rehearse(a_labelled_source(80), annotators=1, slips=0.0)

    assert (told.last.labelled["gender"], told.last.right["gender"]) == (80, 80)


def test_with_people_known_one_answer_holds_for_all_of_a_persons_faces(source):
    labels = AttributeLabel.objects.order_by("face_id").values_list("face_id", "value")
    of_value = {value: [face for face, said in labels if said == value] for value in ("female", "male")}
    for faces in of_value.values():
        for start in range(0, len(faces), 30):
            person = Identity.objects.create()
            ledger.write(
                [
                    Decision(kind="label", face_id=face, identity=person, by="import")
                    for face in faces[start : start + 30]
                ]
            )
    told = rehearse(source, people_known=True)
    assert told.last.labelled["gender"] == FACES
    assert told.last.actions < 0.3 * FACES
    assert Label.objects.count() == FACES


def test_the_search_term_is_a_way_of_its_own_where_photos_have_one(source):
    labels = list(AttributeLabel.objects.order_by("face_id").select_related("face__photo"))
    for number, label in enumerate(labels[:40]):
        label.face.photo.query = label.value if number % 10 else "somebody"
        label.face.photo.save()
    alone = labels[40].face.photo
    alone.query = "the only one found so"  # no other face says what the term is worth
    alone.save()

    told = {each.name: each for each in rehearse(source).baselines}["trusting the search term"]
    assert (told.actions, told.labelled) == (0, 40)
    assert told.right >= 36


def test_the_names_of_all_ways_are_inside_the_picture_and_apart(tmp_path):
    """Errors alike to a thousandth, as slips give them: names written on the lines would cover one another."""
    ways = ("one answer each", "three answers each, the majority", rehearsal.NO_METADATA, "active learning by margin")
    outcome = {
        "known": {"gender": 100},
        "baselines": [
            {"attribute": "gender", "name": name, "actions": 100, "labelled": 100, "right": 98} for name in ways
        ],
        "moments": [{"actions": 30, "labelled": {"gender": 90}, "right": {"gender": 89}, "by_machine": {"gender": 9}}],
    }

    figure = figure_of(outcome, "gender")

    figure.draw_without_rendering()
    (legend,) = figure.legends
    boxes = [text.get_window_extent() for text in legend.get_texts()]
    assert [text.get_text().split(":")[0] for text in legend.get_texts()][1:] == [way.split(":")[0] for way in ways]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0 for box in boxes)
    assert not any(one.overlaps(other) for one in boxes for other in boxes if one is not other)


def test_the_report_says_what_each_way_takes_and_how_far_it_was_on_the_way():
    outcome = rehearsal.Outcome(rehearsal.Plan(("gender",), bare=0.2), faces=120, known={"gender": 100})
    for actions in range(10, 60, 10):
        counts = {"labelled": {"gender": 2 * actions}, "right": {"gender": 2 * actions - 1}, "settled": {"gender": 24}}
        outcome.moments.append(rehearsal.Moment(actions, actions, by_machine={"gender": actions}, **counts))
    outcome.actions_for["gender"] = 50
    outcome.asked["gender grid work"] = 7
    outcome.baselines = [
        rehearsal.Baseline("gender", "one answer each", 100, 100, 98),
        rehearsal.Baseline("gender", rehearsal.NO_METADATA, 0, 0, 0),
    ]

    told = report_of("mine", outcome)

    assert "| **the engine** | 50 | 2.083 | 100 | 0.9900 |" in told
    assert "| one answer each | 100 | 1.000 | 100 | 0.9800 |" in told
    assert f"| {rehearsal.NO_METADATA} | – | – | 0 | – |" in told
    assert "| 30 | 0.200 | 0.9833 | 30 |" in told
    assert told.count("| 0.200 |") == 5  # a row for each step that was reached
    assert "7 grid work" in told
    assert "slips" in told
    assert "20% say only what a face is not" in told
    assert "as people voted" not in told  # of this set there are no votes


def test_votes_of_a_set_are_its_peoples_answers():
    source = a_labelled_source(80)
    AttributeLabel.objects.all().update(detail={"votes": {"female": 3, "male": 7}})
    told = rehearse(source)
    assert told.known["gender"] == AttributeLabel.objects.filter(value="male").count()  # clear only where 7 of 10 agree


def test_what_is_not_known_cannot_be_rehearsed(source):
    with pytest.raises(NothingToRehearse):
        rehearsal.rehearse(source, rehearsal.Plan(("emotion",)))
    assert not rehearsal.knows(source, "emotion")
    assert rehearsal.knows(source, "gender")
    for words, message in (
        (["nowhere"], "There is no source 'nowhere'"),
        ([source.name, "--what", "gender", "emotion"], "has no known emotion"),
        ([source.name, "--what", "gender", "--slips", "2"], "a share from 0 to 1"),
        ([source.name, "--what", "gender", "--bare", "-1"], "--bare -1.0: a share from 0 to 1"),
        ([source.name, "--what", "gender", "--annotators", "0"], "at least one"),
        ([source.name, "--what", "identity", "--people-known"], "nothing to rehearse of identity"),
    ):
        with pytest.raises(CommandError, match=message):
            call_command("rehearse", *words, stdout=StringIO())


def test_who_is_who_is_rehearsed_beside_trusting_the_search_terms(source):
    """Six people whose vectors lie well apart; of every ten photos one was found under somebody else's name."""
    version = ModelVersion.objects.get(task="embedding")
    faces = list(Embedding.objects.order_by("face_id").select_related("face__photo"))[:120]
    people_ = [Identity.objects.create() for _ in range(6)]
    rng = np.random.default_rng(1)
    for number, row in enumerate(faces):
        vector = rng.normal(0, 0.05, version.dimensions)
        vector[number % 6 % version.dimensions] += 1.0 if number % 6 < version.dimensions else -1.0
        row.vector = (vector / np.linalg.norm(vector)).astype("<f2").tobytes()
        row.face.photo.query = f"person {(number + (number % 10 == 0)) % 6}"
        row.face.photo.save()
        ledger.write([Decision(kind="label", face=row.face, identity=people_[number % 6], by="import")])
    Embedding.objects.bulk_update(faces, ["vector"])

    told = rehearsal.rehearse(source, rehearsal.Plan(("identity",)))

    assert told.known["identity"] == 120
    ways = {each.name: each for each in told.baselines}
    assert ways["trusting the search term"].right == 108
    assert ways["one answer each"].actions == 120
    assert told.last.labelled["identity"] >= 110
    assert told.last.right["identity"] >= 0.95 * told.last.labelled["identity"]
    assert told.last.actions < 60
