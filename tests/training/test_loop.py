"""The loop closes by itself: a release, a training, a candidate; once each, whoever is killed in between."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotation import ledger, releases
from annotation.errors import ReleaseExists
from annotation.models import Calibration, Certificate, Decision, Release
from inference import registry
from inference.core.attributes import ATTRIBUTES, GENDER
from inference.models import ModelVersion
from tests.annotation.test_races import at_once
from tests.factories import a_certificate, a_face, a_photo, a_proposal, a_source, a_version
from training import loop, promotion, runs, tasks
from training.core.rule import Rule
from training.errors import NotPromotable
from training.models import Promotion, TrainingPlan, TrainingRun

pytestmark = pytest.mark.django_db

NOW = timezone.now()


@pytest.fixture(autouse=True)
def _set(settings, tmp_path, monkeypatch) -> None:
    settings.AUTO_TRAIN, settings.ASKED = True, ["gender"]
    settings.TRAIN_LABELS, settings.TRAIN_COVERAGE = 5, 0.0
    settings.RELEASES_DIR, settings.MODELS_DIR = tmp_path / "releases", tmp_path / "models"
    monkeypatch.setattr("training.core.rule.FEWEST", 1)


def labelled(count: int, by: str = "import", licence: str = "CC0-1.0") -> None:
    source = a_source(licence=licence)
    ledger.write(
        [
            Decision(kind="value", face=a_face(a_photo(source)), attribute="gender", value="female", by=by)
            for _ in range(count)
        ]
    )


def built(state: str = "done") -> None:
    """The belt has built what waits, or has failed at it."""
    done = {"folder": "somewhere", "checksum": "1" * 64} if state == "done" else {"error": "the disk is full"}
    Release.objects.filter(state="waiting").update(state=state, finished_at=NOW, **done)


def trained(run: TrainingRun, at=NOW) -> ModelVersion:
    version = a_version(task="gender", name=f"gender-{run.pk}", state="candidate")
    TrainingRun.objects.filter(pk=run.pk).update(state="done", version=version, finished_at=at)
    return version


def test_enough_labels_freeze_a_release_and_then_start_a_training_of_it():
    labelled(5)
    (planned,) = loop.consider(NOW)
    assert (planned.task, planned.why, planned.release.state) == ("gender", "labels", "waiting")
    assert planned.release.query["attributes"] == ["gender"]
    assert "enough new labels" in planned.release.purpose
    assert loop.go_on() == []  # not before it is built
    built()

    (run,) = loop.go_on()

    assert (run.why, run.state, run.preset) == ("labels", "waiting", "quick")
    assert list(run.releases.all()) == [planned.release]
    planned.refresh_from_db()
    assert planned.run == run
    assert planned.closed_at is not None
    assert loop.go_on() == []


def test_switched_off_it_does_nothing(settings):
    settings.AUTO_TRAIN = False
    labelled(50)
    assert loop.consider(NOW) == []
    assert not TrainingPlan.objects.exists()


def test_what_is_planned_or_under_way_is_not_planned_again():
    labelled(5)
    loop.consider(NOW)
    assert loop.consider(NOW + timedelta(days=9)) == []
    built()
    (run,) = loop.go_on()
    assert loop.consider(NOW + timedelta(days=9)) == []
    trained(run)
    labelled(9)
    assert loop.consider(NOW + timedelta(hours=11)) == []
    assert [each.why for each in loop.consider(NOW + timedelta(hours=13))] == ["labels"]


def test_labels_that_the_last_release_had_are_not_new_and_those_by_machines_never_are():
    labelled(8)
    loop.consider(NOW)
    built()
    (run,) = loop.go_on()
    trained(run)
    labelled(2)
    labelled(20, by="machine")
    found = loop.seen(GENDER, NOW)
    assert (found.labels, found.new) == (10, 2)


def test_a_training_that_failed_is_tried_again_after_the_cool_down():
    labelled(8)
    loop.consider(NOW)
    built()
    (run,) = loop.go_on()
    TrainingRun.objects.filter(pk=run.pk).update(state="failed", error="diverged", finished_at=NOW)
    assert loop.consider(NOW + timedelta(hours=1)) == []
    assert len(loop.consider(NOW + timedelta(hours=13))) == 1


def test_a_release_that_fails_ends_the_plan_with_the_reason_and_waits_as_long():
    labelled(5)
    (planned,) = loop.consider(NOW)
    built("failed")
    assert loop.go_on() == []
    planned.refresh_from_db()
    assert "failed: the disk is full" in planned.error
    assert loop.consider(timezone.now()) == []
    assert len(loop.consider(timezone.now() + timedelta(hours=13))) == 1


def test_without_rights_no_release_is_planned_and_nothing_is_left_behind():
    labelled(5, licence="")
    assert loop.consider(NOW) == []
    assert not TrainingPlan.objects.exists()
    assert not Release.objects.exists()


def test_a_training_that_a_person_started_meanwhile_comes_first():
    labelled(5)
    loop.consider(NOW)
    built()
    theirs = runs.start_run(task="gender", releases=[Release.objects.get()])
    assert loop.go_on() == []
    trained(theirs)
    assert [run.why for run in loop.go_on()] == ["labels"]


def test_a_preset_that_cannot_be_ends_the_plan(settings):
    labelled(5)
    (planned,) = loop.consider(NOW)
    built()
    settings.TRAIN_PRESET = "fastest"
    assert loop.go_on() == []
    planned.refresh_from_db()
    assert "fastest" in planned.error


def test_killed_between_release_and_training_it_is_started_later_and_once(monkeypatch):
    labelled(5)
    loop.consider(NOW)
    built()

    def killed(*args, **options):
        raise SystemExit

    with monkeypatch.context() as attack:
        attack.setattr(loop, "_close", killed)
        with pytest.raises(SystemExit):
            loop.go_on()
    assert not TrainingRun.objects.exists()  # both or neither
    assert len(loop.go_on()) == 1
    assert TrainingRun.objects.count() == 1


def test_killed_between_plan_and_release_neither_is_there(monkeypatch):
    labelled(5)

    def killed(**words):
        raise SystemExit

    with monkeypatch.context() as attack:
        attack.setattr(releases, "create_release", killed)
        with pytest.raises(SystemExit):
            loop.consider(NOW)
    assert not TrainingPlan.objects.exists()
    assert len(loop.consider(NOW)) == 1


def test_a_name_that_is_taken_is_no_end(monkeypatch):
    labelled(5)

    def taken(**words):
        raise ReleaseExists("gender")

    with monkeypatch.context() as once:
        once.setattr(releases, "create_release", taken)
        assert loop.consider(NOW) == []
    assert len(loop.consider(NOW)) == 1


def test_coverage_is_the_share_of_proposals_that_valid_certificates_accept(settings):
    assert loop.coverage(GENDER) == 0
    for belief in ([0.9, 0.1], [0.8, 0.2], [0.2, 0.8]):
        a_proposal(a_face(), belief)
    held = a_certificate("female")
    Certificate.objects.update(coverage=0.6)
    assert loop.coverage(GENDER) == pytest.approx(0.6 * 2 / 3)
    settings.TRAIN_LABELS, settings.TRAIN_COVERAGE = 1000, 0.5
    labelled(4)
    assert [each.why for each in loop.consider(NOW)] == ["coverage"]
    Certificate.objects.filter(pk=held.pk).update(state="revoked")
    assert loop.coverage(GENDER) == 0
    assert Calibration.objects.count() == 1


def test_of_years_no_certificate_is_looked_at_and_releases_are_balanced():
    assert loop.seen(ATTRIBUTES["apparent_age"], NOW).coverage is None
    face = a_face(a_photo(a_source()))
    ledger.write([Decision(kind="value", face=face, attribute="apparent_age", value="30", by="import")])
    planned = loop.plan(ATTRIBUTES["apparent_age"], "labels", NOW)
    assert planned.release.query["balance"] == "weights"


def test_the_rule_is_as_the_settings_say(settings):
    settings.TRAIN_LABELS, settings.TRAIN_GROWTH, settings.TRAIN_COVERAGE = 10, 0.2, 0.3
    settings.TRAIN_DAYS, settings.TRAIN_COOLDOWN_HOURS = 4, 5
    assert loop.rule() == Rule(labels=10, growth=0.2, coverage=0.3, days=4, cooldown=timedelta(hours=5))


def test_the_beat_goes_on_with_plans_and_sends_their_training(monkeypatch):
    labelled(5)
    tasks.consider()
    assert TrainingPlan.objects.get().closed_at is None
    built()
    sent = list[int]()
    monkeypatch.setattr(tasks.train, "delay", sent.append)
    tasks.sweep()
    assert sent == [TrainingRun.objects.get().pk]


# ---- promotion by itself, where it is wanted


def test_what_the_loop_trained_waits_for_a_person(monkeypatch):
    monkeypatch.setattr(promotion, "promote", lambda *words: pytest.fail("nobody asked for it"))
    labelled(5)
    loop.consider(NOW)
    built()
    trained(loop.go_on()[0])
    loop.promote_trained()


def test_with_automatic_promotion_it_is_asked_once_and_a_persons_own_training_is_not(settings, monkeypatch):
    settings.AUTO_PROMOTE = True
    labelled(5)
    loop.consider(NOW)
    built()
    (run,) = loop.go_on()
    version = trained(run)
    trained(runs.start_run(task="gender", releases=[Release.objects.get()]))
    asked = list[ModelVersion]()

    def promote(candidate):
        asked.append(candidate)
        raise NotPromotable("no better", Promotion.objects.create(version=candidate, state="refused"))

    monkeypatch.setattr(promotion, "promote", promote)
    loop.promote_trained()
    loop.promote_trained()
    assert asked == [version]


# ---- on PostgreSQL


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_many_beats_at_once_plan_one_release_and_start_one_training():
    registry.ensure_live()
    labelled(5)
    assert at_once(*[lambda: loop.consider(NOW)] * 6) == []
    assert TrainingPlan.objects.count() == Release.objects.count() == 1
    built()
    assert at_once(*[loop.go_on] * 6) == []
    assert TrainingRun.objects.count() == 1
    assert TrainingPlan.objects.get().run == TrainingRun.objects.get()
