"""From candidate to live: the gate, every face looked at beside the live model, the flip, the way back."""

import json
from dataclasses import replace
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone

from annotation import belt, clustering, engine, gallery, proposals
from annotation.models import AuditEvent, Embedding, Face, NetworkOutput, Proposal, Release
from inference import registry
from inference.core.attributes import GENDER, REAL_AGE
from inference.core.bundle import Calibration, cold_start
from inference.core.embed import UnusableBackbone
from inference.models import ModelVersion
from tests.factories import a_face, a_person, a_picture, a_run, a_user, a_version
from tests.networks import Says, a_seen_face, play_networks
from training import promotion, runs, tasks
from training.errors import NotPromotable, PromotionUnderWay
from training.models import Evaluation, Promotion

pytestmark = pytest.mark.django_db(transaction=True)

BETTER = {"value": 0.05, "low": 0.02, "high": 0.08}
WORSE = {"value": -0.05, "low": -0.08, "high": -0.02}


@pytest.fixture(autouse=True)
def networks(monkeypatch, settings, tmp_path) -> dict[int, float]:
    settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr(promotion, "PATIENCE", 0.01)
    monkeypatch.setattr(promotion, "BATCH", 4)
    return play_networks(monkeypatch)


def a_release() -> Release:
    done = {"state": "done", "folder": "spring", "finished_at": timezone.now(), "query": {}, "checksum": "1" * 64}
    return Release.objects.get_or_create(name="spring", defaults=done)[0]


def judged(version: ModelVersion, gain: dict[str, float] = BETTER) -> Evaluation:
    live = promotion.live_of(version.task)
    main = "true_accepts" if version.task == "embedding" else "accuracy"
    beside = {"n": 100, "candidate": 0.9, "live": 0.9 - gain["value"], "gain": gain, "p": 0.01}
    return Evaluation.objects.create(
        version=version,
        release=a_release(),
        against=live,
        measured={"true_accepts": 0.9},
        compared=None if live is None else {"main": main, "metrics": {main: beside}, "slices": {}, "milliseconds": 5.0},
        milliseconds=8.0,
    )


def a_candidate(task: str = "gender", gain: dict[str, float] = BETTER) -> ModelVersion:
    version = a_version(task=task, name="new net", state="candidate", dimensions=registry.ensure_live().dimensions)
    judged(version, gain)
    return version


def faces(count: int) -> list[Face]:
    made = [a_seen_face() for _ in range(count)]
    proposals.propose(made)
    return made


def live_models(task: str = "gender") -> list[ModelVersion]:
    return list(ModelVersion.objects.filter(task=task, state="live"))


# ---- through the gate


def test_a_candidate_that_passes_is_prepared_and_the_live_one_stays(networks):
    faces(3)
    old, candidate, who = registry.live("gender"), a_candidate(), a_user()

    made = promotion.promote(candidate, by=who)

    assert (made.state, made.replaced, made.prepared, made.total, made.created_by) == ("preparing", old, 0, 3, who)
    assert [check["passed"] for check in made.gate] == [True] * 4
    assert live_models() == [old]


def test_one_that_does_not_is_refused_with_the_reason_kept():
    candidate = a_candidate(gain=WORSE)
    with pytest.raises(NotPromotable, match=r"better than the live model: accuracy 0\.9000, dlib-gender 0\.95") as told:
        promotion.promote(candidate)
    kept = Promotion.objects.get()
    assert (kept, kept.state) == (told.value.promotion, "refused")
    assert [check["name"] for check in kept.gate if not check["passed"]] == ["better than the live model"]
    assert promotion.under_way() is None


def test_a_person_may_force_it_and_says_why():
    made = promotion.promote(a_candidate(gain=WORSE), forced="  the old one's licence has run out ")
    assert (made.state, made.forced) == ("preparing", "the old one's licence has run out")
    with pytest.raises(NotPromotable, match="300 letters at most"):
        promotion.promote(a_candidate(), forced="x" * 301)


def test_a_judgement_beside_another_live_model_does_not_count():
    candidate = a_candidate()
    Evaluation.objects.update(against=a_version(task="gender", state="retired"))
    with pytest.raises(NotPromotable, match="was not judged beside dlib-gender, which is live"):
        promotion.promote(candidate)


def test_the_live_one_needs_no_promotion_and_there_is_one_at_a_time():
    registry.ensure_attributes()
    with pytest.raises(NotPromotable, match="is live already"):
        promotion.promote(registry.live("gender"))
    promotion.promote(a_candidate())
    with pytest.raises(PromotionUnderWay):
        promotion.promote(a_candidate("emotion"))


def test_a_backbone_that_cannot_say_how_sure_it_is_is_refused_and_one_that_can_is_not(monkeypatch):
    candidate = a_candidate("embedding")
    ModelVersion.objects.filter(pk=candidate.pk).update(folder="/somewhere")
    monkeypatch.setattr(registry, "bundle_of", lambda version: cold_start())
    with pytest.raises(NotPromotable, match="Its bundle has no calibration"):
        promotion.promote(candidate)
    monkeypatch.setattr(
        registry, "bundle_of", lambda version: replace(cold_start(), calibration=Calibration(20.0, -8.0))
    )
    assert promotion.promote(candidate).state == "preparing"


def test_a_bundle_that_is_gone_is_told():
    candidate = a_candidate()
    ModelVersion.objects.filter(pk=candidate.pk).update(folder="/nowhere")
    with pytest.raises(NotPromotable, match="/nowhere is no bundle"):
        promotion.promote(candidate)
    assert not Promotion.objects.exists()


def test_a_bundle_that_goes_meanwhile_never_becomes_the_live_one(monkeypatch):
    faces(2)
    old, made = registry.live("gender"), promotion.promote(a_candidate())
    ModelVersion.objects.filter(pk=made.version_id).update(folder="/nowhere")

    promotion.carry_out(made.pk)

    made.refresh_from_db()
    assert (made.state, live_models()) == ("failed", [old])
    assert "/nowhere is no bundle" in made.error


def test_a_network_that_does_not_open_is_refused_where_nobody_looked_by_it(monkeypatch):
    def torn(version: ModelVersion) -> None:
        raise UnusableBackbone("network.safetensors is cut off")

    monkeypatch.setattr(registry, "attribute_model", torn)
    with pytest.raises(NotPromotable, match=r"network\.safetensors is cut off"):
        promotion.promote(a_candidate("real_age"))
    assert not live_models("real_age")


def test_there_is_no_way_back_to_a_bundle_that_is_gone():
    faces(2)
    first, second = a_candidate(), a_candidate()
    promotion.carry_out(promotion.promote(first).pk)
    judged(second)
    promotion.carry_out(promotion.promote(second).pk)
    ModelVersion.objects.filter(pk=first.pk).update(folder="/nowhere")

    with pytest.raises(NotPromotable, match="/nowhere is no bundle"):
        promotion.rollback("gender")

    assert live_models() == [second]


# ---- past every face


def test_every_face_is_looked_at_then_it_is_live_and_the_engine_learns_anew(networks):
    made_faces, old, candidate = faces(10), registry.live("gender"), a_candidate()
    first = engine.think(GENDER)
    networks[candidate.pk] = 0.2
    made = promotion.promote(candidate)

    promotion.carry_out(made.pk)

    made.refresh_from_db()
    assert (made.state, made.prepared, made.total, made.error) == ("live", 10, 10, "")
    assert live_models() == [candidate]
    candidate.refresh_from_db()
    old.refresh_from_db()
    assert candidate.live_since == made.finished_at == old.retired_at
    assert NetworkOutput.objects.filter(version=old).count() == len(made_faces)
    assert engine.behind(GENDER)
    assert engine.think(GENDER) != first
    assert set(Proposal.objects.filter(attribute="gender").values_list("value", "network")) == {("male", candidate.pk)}
    assert not proposals.without_proposal(Face.objects.all()).exists()


def test_it_goes_in_batches_by_a_mark_and_who_was_passed_over_comes_after(monkeypatch):
    made_faces, candidate = faces(9), a_candidate()
    made = promotion.promote(candidate)
    sent, ended = list[list[int]](), list[int]()

    def feed() -> int:
        return promotion.feed(lambda pk, ids: sent.append(ids) or "sent", ended.append)

    assert feed() == 9
    ids = [face.pk for face in made_faces]
    assert sent == [ids[:4], ids[4:8], ids[8:]]
    assert feed() == 0  # all in somebody's hands
    promotion.look(made.pk, sent[1])
    assert feed() == 0
    made.refresh_from_db()
    assert (made.prepared, made.reached) == (4, ids[0] - 1)
    Promotion.objects.update(reached=ids[8])
    Face.objects.update(claimed_until=None)
    assert feed() == 5
    assert sent[-2:] == [ids[:4], ids[8:]]
    promotion.look(made.pk, ids[:4])
    assert ended == []
    feed()
    assert ended == [made.pk]  # less than a batch is left: the end looks at it
    assert promotion.finish(made.pk)
    assert NetworkOutput.objects.filter(version=candidate).count() == 9


def test_faces_that_come_meanwhile_are_looked_at_too(networks):
    faces(6)
    made = promotion.promote(candidate := a_candidate())
    promotion.look(made.pk, list(Face.objects.values_list("pk", flat=True)))
    faces(7)

    promotion.carry_out(made.pk)

    assert NetworkOutput.objects.filter(version=candidate).count() == 13
    assert not proposals.without_proposal(Face.objects.all()).exists()


def test_a_new_face_waits_for_the_live_model_before_the_candidate():
    a_seen_face()
    assert not promotion.due(a_candidate()).exists()
    bare = a_face()
    a_picture(bare.photo)
    assert not promotion.due(a_candidate("embedding")).filter(pk=bare.pk).exists()


def test_killed_in_the_middle_it_is_not_live_and_goes_on_where_it_was(monkeypatch, settings):
    settings.BATCHES_IN_FLIGHT = 1
    faces(10)
    old, made = registry.live("gender"), promotion.promote(candidate := a_candidate())
    looked = list[int]()

    class Killed(Says):
        def look(self, crops):
            looked.append(len(crops))
            if len(looked) == 2:
                raise SystemExit
            return super().look(crops)

    with monkeypatch.context() as attack:
        attack.setattr(registry, "attribute_model", lambda version: Killed(version.task, 0.5))
        with pytest.raises(SystemExit):
            promotion.carry_out(made.pk)

    made.refresh_from_db()
    assert (made.state, made.prepared) == ("preparing", 4)
    assert live_models() == [old]
    Face.objects.filter(claimed_until__isnull=False).update(claimed_until=timezone.now() - timedelta(seconds=1))
    promotion.carry_out(made.pk)
    assert live_models() == [candidate]
    assert NetworkOutput.objects.filter(version=candidate).count() == 10


def test_killed_in_the_flip_nothing_of_it_is_done(monkeypatch):
    faces(2)
    old, made = registry.live("gender"), promotion.promote(candidate := a_candidate())

    def killed(version, now):
        ModelVersion.objects.filter(task=version.task, state="live").update(state="retired")
        raise SystemExit

    with monkeypatch.context() as attack:
        attack.setattr(promotion, "_take_the_place", killed)
        with pytest.raises(SystemExit):
            promotion.finish(made.pk)
    assert live_models() == [old]
    promotion.release_all_claims()
    assert promotion.finish(made.pk)
    assert live_models() == [candidate]


def test_a_network_that_breaks_ends_the_promotion_and_what_it_saw_stays(monkeypatch):
    made_faces, candidate = faces(5), a_candidate()
    old, made = registry.live("gender"), promotion.promote(candidate)
    promotion.look(made.pk, [made_faces[0].pk])

    class Broken(Says):
        def look(self, crops):
            raise ZeroDivisionError("by chance")

    with monkeypatch.context() as attack:
        attack.setattr(registry, "attribute_model", lambda version: Broken(version.task, 0.5))
        promotion.carry_out(made.pk)

    made.refresh_from_db()
    assert (made.state, made.error) == ("failed", "ZeroDivisionError: by chance")
    assert live_models() == [old]
    assert not Face.objects.exclude(claimed_until=None).exists()
    again = promotion.promote(candidate)
    assert (again.prepared, again.total) == (1, 5)


def test_a_database_that_is_away_ends_nothing(monkeypatch):
    faces(5)
    made = promotion.promote(a_candidate())

    def away(*args):
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(proposals, "look", away)
    with pytest.raises(OperationalError):
        promotion.look(made.pk, list(Face.objects.values_list("pk", flat=True)))
    assert promotion.under_way() == made


def test_of_two_that_finish_at_once_one_does():
    faces(1)
    made = promotion.promote(a_candidate())
    Promotion.objects.update(claimed_until=timezone.now() + timedelta(minutes=1))
    assert not promotion.finish(made.pk)
    assert promotion.finish(made.pk, timezone.now() + timedelta(minutes=2))
    assert not promotion.finish(made.pk)


def test_the_first_model_of_a_task_is_live_and_has_seen_whom_another_ones_word_was_proposed_of(networks):
    """Of real ages the network for apparent ones speaks until then."""
    known, candidate = faces(1)[0], a_candidate("real_age")
    made = promotion.promote(candidate)
    assert (made.state, made.replaced) == ("live", None)
    assert live_models("real_age") == [candidate]
    late = a_seen_face()
    assert list(proposals.without_proposal(Face.objects.all())) == [late]
    proposals.propose([late])
    assert Proposal.objects.get(face=late, attribute="real_age").network == candidate
    engine.think(REAL_AGE)
    assert Proposal.objects.get(face=known, attribute="real_age").network == candidate


def test_called_off_nothing_is_live_that_was_not():
    faces(2)
    old, made = registry.live("gender"), promotion.promote(a_candidate())
    with pytest.raises(PromotionUnderWay):
        promotion.rollback("gender")
    assert promotion.call_off(a_user("ada")).error == "Called off by ada."
    assert not promotion.finish(made.pk)
    assert live_models() == [old]
    with pytest.raises(NotPromotable, match="nothing to call off"):
        promotion.call_off()


# ---- a backbone


def test_another_backbone_has_every_vector_then_is_live_and_the_faces_are_grouped_anew():
    made_faces, old = faces(6), registry.ensure_live()
    run = a_run(old)
    candidate = a_candidate("embedding")
    made = promotion.promote(candidate)
    assert made.total == 6

    promotion.carry_out(made.pk)

    assert live_models("embedding") == [candidate]
    assert Embedding.objects.filter(version=candidate).count() == Embedding.objects.filter(version=old).count() == 6
    assert not belt.faces_due(candidate).exists()
    assert clustering.current() == run  # it holds until the new one is applied
    assert clustering.behind(candidate)
    late = a_face()
    assert not clustering.behind(candidate)  # not before every face has its vector
    late.delete()
    clustering.keep_up()
    assert clustering.current().version == candidate
    assert not clustering.behind(candidate)
    assert {face.pk for face in made_faces} == set(clustering.clusters_of(clustering.current()))


# ---- back, and what is dropped


def test_back_to_the_model_before_in_one_act_without_looking_again():
    faces(3)
    old, candidate = registry.live("gender"), a_candidate()
    promotion.carry_out(promotion.promote(candidate).pk)
    late = faces(1)[0]

    taken = promotion.rollback("gender", by=(who := a_user()))
    told = AuditEvent.objects.filter(action__in=["promote", "roll_back"]).order_by("pk")
    assert [(event.action, event.subject, event.by) for event in told][-1] == (
        "roll_back",
        f"model {taken.version_id}",
        who,
    )
    assert told[0].action == "promote"

    assert (taken.state, taken.taken_back_by, taken.version) == ("rolled_back", who, candidate)
    assert live_models() == [old]
    old.refresh_from_db()
    candidate.refresh_from_db()
    assert (candidate.state, old.retired_at) == ("retired", None)
    assert list(proposals.without_proposal(Face.objects.all())) == [late]  # the belt looks at who came since
    assert not promotion.to_drop()  # nor is the other's word dropped
    with pytest.raises(NotPromotable, match="none was live before"):
        promotion.rollback("gender")


def test_after_two_promotions_the_one_before_the_last_is_live_again_and_its_promotion_holds():
    faces(2)
    first, second = a_candidate(), a_candidate()
    promotion.carry_out(promotion.promote(first).pk)
    judged(second)
    promotion.carry_out(promotion.promote(second).pk)
    states = Promotion.objects.order_by("pk").values_list("state", flat=True)
    assert list(states) == ["replaced", "live"]

    promotion.rollback("gender")

    assert live_models() == [first]
    assert list(states.all()) == ["live", "rolled_back"]


def test_only_the_words_of_the_live_and_the_last_retired_model_are_kept(monkeypatch):
    monkeypatch.setattr(promotion, "DROPPED", 2)
    faces(5)
    oldest = registry.live("gender")
    first, second = a_candidate(), a_candidate()
    promotion.carry_out(promotion.promote(first).pk)
    assert promotion.to_drop() == []
    judged(second)
    promotion.carry_out(promotion.promote(second).pk)
    assert promotion.to_drop() == [oldest]

    assert promotion.drop_old(most=4) == 4
    assert promotion.drop_old() == 1

    assert set(NetworkOutput.objects.filter(version__task="gender").values_list("version", flat=True)) == {
        first.pk, second.pk
    }  # fmt: skip
    promotion.rollback("gender")
    with pytest.raises(NotPromotable, match=r"was dropped since\. It looks at them again by `manage\.py promote"):
        promotion.rollback("gender")


def test_a_backbone_has_its_gallery_before_it_is_live_and_loses_it_with_its_vectors(monkeypatch):
    somebody = a_person(faces(2))
    old, kept = registry.ensure_live(), list[list[int]]()
    gallery.keep_up()
    made = promotion.promote(candidate := a_candidate("embedding"))
    with monkeypatch.context() as patch:
        patch.setattr(promotion, "_flip", lambda pk: kept.append(list(gallery._read(candidate).people)))
        promotion.finish(made.pk)
    assert (kept, live_models("embedding")) == ([[somebody.pk]], [old])

    promotion.carry_out(made.pk)
    with monkeypatch.context() as patch:
        patch.setattr(gallery, "_means", None)  # a process that begins now reads what was kept
        patch.setattr(gallery, "_held", None)
        assert list(gallery.current().people) == [somebody.pk]
    monkeypatch.setattr(promotion, "to_drop", lambda: [old])
    promotion.drop_old()
    assert gallery._read(old) is None


def test_vectors_that_the_grouping_rests_on_are_kept():
    faces(2)
    a_run(registry.ensure_live())
    for _ in range(2):
        candidate = a_candidate("embedding")
        promotion.carry_out(promotion.promote(candidate).pk)
    assert promotion.to_drop() == []
    clustering.keep_up()
    assert [version.name for version in promotion.to_drop()] == [cold_start().name]


# ---- doors


def test_the_sweep_feeds_it_and_drops_what_is_old(monkeypatch):
    made_faces = faces(5)
    made, sent, dropped = promotion.promote(a_candidate()), [], []
    monkeypatch.setattr(tasks.prepare, "delay", lambda *words: sent.append(words))
    monkeypatch.setattr(tasks.finish, "delay", tasks.finish)
    monkeypatch.setattr(tasks.drop_old, "delay", lambda: dropped.append(True))
    tasks.sweep()
    assert sent == [(made.pk, [face.pk for face in made_faces[:4]]), (made.pk, [made_faces[4].pk])]
    for words in sent[:2]:
        tasks.prepare(*words)
    made.refresh_from_db()
    assert made.state == "live"
    assert dropped == []
    tasks.drop_old()


def said(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_the_command_promotes_says_what_the_gate_saw_and_goes_back():
    faces(3)
    candidate = a_candidate()
    told = said("promote", str(candidate.pk))
    assert "passed  better than the live model: accuracy 0.9000, dlib-gender 0.8500 on the same 100 faces" in told
    assert "new net is live for gender; it has looked at 3 faces." in told
    told = said("promote", "--rollback", "gender")
    assert told.endswith("dlib-gender is live for gender again, and new net is not.\n")
    with pytest.raises(CommandError, match="none was live before"):
        said("promote", "--rollback", "gender")
    with pytest.raises(CommandError, match=r"There is no model 999\. There are: "):
        said("promote", "999")


def test_the_command_leaves_it_to_the_workers_or_goes_on_with_it():
    faces(3)
    candidate = a_candidate()
    told = json.loads(said("promote", str(candidate.pk), "--queue", "--json"))
    assert (told["state"], told["prepared"], told["total"]) == ("preparing", 0, 3)
    with pytest.raises(CommandError, match="Another model is being promoted"):
        said("promote", str(a_candidate("emotion").pk))
    assert json.loads(said("promote", str(candidate.pk), "--json"))["state"] == "live"


def test_a_refusal_is_told_to_programs_too_and_forcing_needs_a_reason():
    candidate, out = a_candidate(gain=WORSE), StringIO()
    with pytest.raises(CommandError, match="did not pass"):
        call_command("promote", str(candidate.pk), "--json", stdout=out)
    assert json.loads(out.getvalue())["state"] == "refused"
    assert "Against the gate: we know why" in said("promote", str(candidate.pk), "--force", "we know why")
    assert live_models() == [candidate]


def test_a_bundle_that_a_user_brings_is_registered_and_judged_first(monkeypatch, tmp_path):
    bundle = replace(cold_start(), name="brought", calibration=Calibration(20.0, -8.0))
    monkeypatch.setattr("training.management.commands.promote.load", lambda folder: bundle)
    monkeypatch.setattr(registry, "bundle_of", lambda version: bundle)
    with pytest.raises(CommandError, match="There is no release to judge on"):
        said("promote", str(tmp_path))
    a_release()
    asked = list[tuple[str, str]]()

    def evaluate(version, release):
        asked.append((version.name, release.name))
        return judged(version)

    monkeypatch.setattr(runs, "evaluate_version", evaluate)
    assert "brought is live for embedding" in said("promote", str(tmp_path))
    assert asked == [("brought", "spring")]
    version = ModelVersion.objects.get(name="brought")
    assert (version.folder, version.state) == (str(tmp_path), "live")
    monkeypatch.undo()
    with pytest.raises(CommandError, match="is no bundle"):
        said("promote", str(tmp_path / "none"))


def test_evaluate_says_how_good_a_model_is_beside_the_live_one(monkeypatch):
    registry.ensure_attributes()
    version = a_version(task="gender", name="new net", state="candidate")
    with pytest.raises(CommandError, match="There is no release to judge on"):
        said("evaluate", str(version.pk))
    a_release()
    with pytest.raises(CommandError, match=r"There is no release 'autumn' that is done\. There are: spring"):
        said("evaluate", str(version.pk), "--release", "autumn")
    figure = {"value": 0.9, "low": 0.88, "high": 0.92}

    def evaluate(version, release):
        kept = judged(version)
        kept.measured = {"main": "accuracy", "metrics": {"accuracy": figure}, "n": 100, "calibration_error": 0.02}
        return kept

    monkeypatch.setattr(runs, "evaluate_version", evaluate)
    told = said("evaluate", str(version.pk))
    assert "accuracy: 0.9000 (0.8800 to 0.9200)" in told
    assert "dlib-gender, which is live, on the same: accuracy 0.8500; better by 0.0500 (0.0200 to 0.0800)" in told
    Evaluation.objects.all().delete()
    assert json.loads(said("evaluate", str(version.pk), "--json"))["against"] == "dlib-gender"
