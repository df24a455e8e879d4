"""Audited answers in, the right to accept proposals unseen out; and that right taken away again.

A certificate speaks for the proposals that its audit was drawn from. Of what comes in later under the same calibration,
audits of what was accepted, at a set rate, say whether the promise holds there, too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
from django.db import transaction
from django.utils import timezone

from annotation import ledger, live_settings
from annotation.core.batches import batched
from annotation.core.certificate import Certified, broken, certify
from annotation.core.sampling import in_control_slice
from annotation.models import (
    AttributeLabel,
    Calibration,
    Certificate,
    Decision,
    Label,
    Proposal,
    Question,
    QuestionFace,
    Vote,
)
from annotation.votes import control_said, face_keys
from inference.core.attributes import Attribute

CHUNK = 400


@dataclass(frozen=True, eq=False)
class Audit:
    """What people said of proposals of one value that chance picked."""

    confidence: npt.NDArray[np.float64]  # (audited,)
    wrong: npt.NDArray[np.bool_]  # (audited,)
    drawn_above: npt.NDArray[np.float64]  # (audited,)


def review(attribute: Attribute, calibration: Calibration) -> list[Certificate]:
    """Issue what the audits of this calibration allow, accept under it, and revoke what later audits broke.

    Returns the certificates that are valid then.
    """
    taken_back = [Certificate.State.REVOKED, Certificate.State.LAPSED]
    for held in Certificate.objects.filter(attribute=attribute.name).exclude(state__in=taken_back):
        if not _founded(held):
            take_back(held, Certificate.State.LAPSED, "Answers that gave it were taken back or corrected.")
        else:
            _check(held)
    for held in _valid(attribute):
        if held.calibration_id != calibration.pk:
            end(held, Certificate.State.REPLACED, "The models learnt more: certificates begin again.")
    for value in attribute.values:
        _issue(attribute, value, calibration)
    found, control = list(_valid(attribute)), control_said(attribute)
    for held in found:
        _compare(held, control)
        accept(held)
    return found


def _valid(attribute: Attribute) -> Iterable[Certificate]:
    return Certificate.objects.filter(attribute=attribute.name, state=Certificate.State.VALID)


def _founded(held: Certificate) -> bool:
    """Whether the audits that gave it still do: answers are undone, people paused, and labels corrected.

    Answers that came after it need not: evidence that sufficed once is enough, at whatever time one looked.
    """
    return any(
        found is not None and found.threshold <= held.threshold
        for found in (
            _certify(audit_of(held.calibration, held.value, until=until), held.calibration, held.value, held.target)
            for until in (held.at, None)
        )
    )


def _certify(audit: Audit, calibration: Calibration, value: str, target: float) -> Certified | None:
    sequence = calibration.sequences.get(value, [])
    return certify(audit.confidence, audit.wrong, audit.drawn_above, sequence, target=target)


def audit_of(calibration: Calibration, value: str, *, until: datetime | None = None) -> Audit:
    """The answers to audits of proposals of one value that were drawn under this calibration, all or until some time.

    A face that somebody marked and that is not settled yet counts as wrong: to leave it out would flatter the machine.
    """
    shown = QuestionFace.objects.filter(
        question__calibration=calibration,
        question__purpose=Question.Purpose.AUDIT,
        question__state=Question.State.SETTLED,
        question__value=value,
        question__certificate=None,
    ).exclude(face__label__verdict=Label.Verdict.NOT_A_FACE)
    if until is not None:
        shown = shown.filter(question__settled_at__lte=until)
    rows = list(shown.values_list("face_id", "belief", "question__drawn_above"))
    said = _labels(calibration.attribute, [face for face, _, _ in rows])
    return Audit(
        confidence=np.array([belief for _, belief, _ in rows], np.float64),
        wrong=np.array([said.get(face) != value for face, _, _ in rows], np.bool_),
        drawn_above=np.array([above or 0.0 for _, _, above in rows], np.float64),
    )


def _labels(attribute: str, faces: Iterable[int]) -> dict[int, str]:
    said = dict[int, str]()
    for chunk in batched(list(faces), CHUNK):
        labels = AttributeLabel.objects.filter(attribute=attribute, face__in=chunk)
        said |= dict(labels.exclude(decision__by=Decision.By.MACHINE).values_list("face_id", "value"))
    return said


def _issue(attribute: Attribute, value: str, calibration: Calibration) -> None:
    broke = Certificate.objects.filter(attribute=attribute.name, value=value, calibration=calibration)
    if broke.filter(state=Certificate.State.REVOKED).exists():
        return  # the audits that gave it are not believed again: only new models, audited anew, are
    found = _certify(audit_of(calibration, value), calibration, value, live_settings.get("TARGET_ERROR"))
    held = Certificate.objects.filter(attribute=attribute.name, value=value, state=Certificate.State.VALID).first()
    if found is None or (held and held.calibration_id == calibration.pk and found.threshold >= held.threshold):
        return
    with transaction.atomic():
        if held is not None:
            end(held, Certificate.State.REPLACED, f"A later audit allows confidence {found.threshold:.3f}.")
        Certificate.objects.create(
            attribute=attribute.name,
            value=value,
            threshold=found.threshold,
            target=live_settings.get("TARGET_ERROR"),
            audited=found.audited,
            wrong=found.wrong,
            bound=found.bound,
            coverage=_coverage(attribute, value, found),
            calibration=calibration,
        )


def _coverage(attribute: Attribute, value: str, found: Certified) -> float:
    of_value = Proposal.objects.filter(attribute=attribute.name, value=value, stands=True)
    return of_value.filter(confidence__gte=found.threshold).count() / max(of_value.count(), 1)


def acceptable(certificate: Certificate) -> list[tuple[int, float, int | None]]:
    """What it lets through now: face, confidence and person. Not the control slice, which people answer."""
    rows = Proposal.objects.filter(
        attribute=certificate.attribute,
        value=certificate.value,
        calibration__isnull=False,
        confidence__gte=certificate.threshold,
        stands=True,
        face__duplicate_of=None,
    ).exclude(face__attribute_labels__attribute=certificate.attribute)
    spoken = Vote.objects.filter(attribute=certificate.attribute, answer__undone_at=None)
    rows = rows.exclude(face__in=spoken.values("face"))  # where somebody has spoken, people settle it
    found = list(rows.values_list("face_id", "confidence", "face__label__identity"))
    held = set(
        Question.objects.filter(
            attribute=certificate.attribute, state=Question.State.OPEN, leased_until__gt=timezone.now()
        )
        .exclude(leased_to=None)
        .values_list("shown__face", flat=True)
    )
    keys = dict[int, str]()
    for chunk in batched([face for face, _, _ in found], CHUNK):
        keys |= face_keys(chunk)
    return [
        row
        for row in found
        if row[0] not in held and not in_control_slice(keys[row[0]], live_settings.get("CONTROL_SHARE"))
    ]


def accept(certificate: Certificate) -> int:
    """Write down what the certificate lets through. Returns how many lines that were."""
    done = 0
    for chunk in batched(acceptable(certificate), CHUNK):
        with transaction.atomic():
            held = Certificate.objects.select_for_update().get(pk=certificate.pk)
            if held.state != Certificate.State.VALID:
                return done
            ledger.write([_line(held, face, confidence, person) for face, confidence, person in chunk])
            Certificate.objects.filter(pk=held.pk).update(accepted=held.accepted + len(chunk))
            done += len(chunk)
    certificate.refresh_from_db()
    return done


def _line(certificate: Certificate, face: int, confidence: float, person: int | None) -> Decision:
    return Decision(
        kind=Decision.Kind.VALUE,
        face_id=None if person else face,
        identity_id=person,
        attribute=certificate.attribute,
        value=certificate.value,
        by=Decision.By.MACHINE,
        evidence={"certificate": certificate.pk, "confidence": round(confidence, 4), "face": face},
    )


def _check(certificate: Certificate) -> None:
    """Count the audits of what it accepted; if they break its promise, it is revoked.

    Who is marked, and asked about again, is not counted until that is settled: one slip is no broken promise.
    """
    shown = QuestionFace.objects.filter(
        question__certificate=certificate, question__state=Question.State.SETTLED
    ).exclude(face__label__verdict=Label.Verdict.NOT_A_FACE)
    said = _labels(certificate.attribute, shown.values_list("face_id", flat=True))
    wrong = sum(value != certificate.value for value in said.values())
    Certificate.objects.filter(pk=certificate.pk).update(audited_since=len(said), wrong_since=wrong)
    if broken(len(said), wrong, certificate.target):
        revoke(certificate, f"Of {len(said)} audited after it was issued, {wrong} were wrong.")


def _compare(certificate: Certificate, control: Mapping[int, str]) -> None:
    """Count what the control slice says of proposals that it would let through: people who were shown none."""
    rows = Proposal.objects.filter(
        attribute=certificate.attribute,
        value=certificate.value,
        confidence__gte=certificate.threshold,
        calibration__isnull=False,
    )
    said = [control[face] for face in rows.values_list("face_id", flat=True).iterator() if face in control]
    wrong = sum(value != certificate.value for value in said)
    Certificate.objects.filter(pk=certificate.pk).update(blind=len(said), blind_wrong=wrong)


def end(certificate: Certificate, state: Certificate.State, because: str) -> None:
    Certificate.objects.filter(pk=certificate.pk).update(state=state, ended_at=timezone.now(), ended_because=because)


def revoke(certificate: Certificate, because: str) -> int:
    """Take a certificate back for good, and every label that rests on it. Returns how many lines were undone."""
    return take_back(certificate, Certificate.State.REVOKED, because)


@transaction.atomic
def take_back(certificate: Certificate, state: Certificate.State, because: str) -> int:
    """End a certificate, and every label that rests on it. Returns how many lines were undone."""
    held = Certificate.objects.select_for_update().get(pk=certificate.pk)
    if held.state in (Certificate.State.REVOKED, Certificate.State.LAPSED):
        return 0
    end(held, state, because)
    lines = Decision.objects.standing().filter(
        kind=Decision.Kind.VALUE, by=Decision.By.MACHINE, attribute=held.attribute, evidence__certificate=held.pk
    )
    gone = list(lines)
    for chunk in batched(gone, CHUNK):
        ledger.undo(chunk, person=None)
    return len(gone)
