"""Who may open which page, and that every page stands on its own feet."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import transaction
from django.test import Client
from django.urls import get_resolver, reverse
from pytest_django import Settings

from annotation import erasure, holds
from annotation.answers import record_answer
from annotation.core import practice
from annotation.models import Question, Release, User
from annotation.releases import build, create_release
from annotation.views.annotate import FEW
from tests.annotation.test_releases import released, some_labelled, with_picture
from tests.factories import (
    a_certificate,
    a_cluster,
    a_face,
    a_pair,
    a_person,
    a_photo,
    a_question,
    a_run,
    a_single,
    a_source,
    a_user,
    an_annotator,
)
from tests.matrix import tried

pytestmark = pytest.mark.django_db

ANNOTATOR, CURATOR, ENGINEER, ADMIN, CLIENT = "annotator", "curator", "engineer", "admin", "client"
EVERYBODY = {ANNOTATOR, CURATOR, ENGINEER, ADMIN}
ROLES = EVERYBODY | {CLIENT}  # a program has its tokens, and nothing else to look at
BROWSE = {CURATOR, ENGINEER, ADMIN}
CURATE = {CURATOR, ADMIN}
ANNOTATE = {ANNOTATOR, CURATOR, ADMIN}

PAGES = {
    "home": ROLES,
    "annotate": ANNOTATE,
    "answers": ANNOTATE,
    "practice-picture": EVERYBODY,  # drawn: nobody's face
    "people": BROWSE,
    "person": BROWSE,
    "merge-preview": CURATE,
    "merge-with": CURATE,
    "by-likeness": CURATE,
    "by-face": CURATE,
    "suggestions": BROWSE,
    "acts": BROWSE,
    "conflicts": CURATE,
    "conflicts-decided": CURATE,
    "conflict": CURATE,
    "live": CURATE,
    "annotators": CURATE,
    "annotator": CURATE,
    "clusters": BROWSE,
    "cluster": BROWSE,
    "photos": BROWSE,
    "photo": BROWSE,
    "photo-file": BROWSE,
    "photo-small": BROWSE,
    "faces": BROWSE,
    "face": BROWSE,
    "face-crop": BROWSE,
    "sources": BROWSE,
    "source-new": CURATE,
    "source": BROWSE,
    "upload": CURATE,
    "refusals": BROWSE,
    "refusals-csv": BROWSE,
    "runs": BROWSE,
    "run": BROWSE,
    "engine": BROWSE,
    "releases": BROWSE,
    "release-new": BROWSE,
    "release": BROWSE,
    "release-datasheet": BROWSE,
    "release-download": BROWSE,
    "try-it": BROWSE,
    "tokens": ROLES,
    "settings": {ADMIN},
    "audit": {ADMIN},
    "audit-export": {ADMIN},
    "erasures": {ADMIN},
    "erasure-ask": {ADMIN},
    "erasure": {ADMIN},
    "erasure-report": {ADMIN},
    "holds": {ADMIN},
    "export": BROWSE,
    "labels-csv": BROWSE,
    "labels-parquet": BROWSE,
}
ACTS = {
    "bring-back": ANNOTATE,
    "undo": EVERYBODY,
    "rename": CURATE,
    "describe": CURATE,
    "merge": CURATE,
    "faces-act": CURATE,
    "faces-ask": CURATE,
    "suggestions-decide": CURATE,
    "split-by-likeness": CURATE,
    "decide": CURATE,
    "reopen": CURATE,
    "reassign": CURATE,
    "state-rights": CURATE,
    "start-intake": CURATE,
    "run-start": BROWSE,
    "run-apply": BROWSE,
    "run-discard": BROWSE,
    "certificate-revoke": CURATE,
    "let-back": CURATE,
    "release-verify": BROWSE,
    "token-revoke": ROLES,
    "setting-change": {ADMIN},
    "erasure-verify": {ADMIN},
    "erasure-go-on": {ADMIN},
    "erasure-let-back": {ADMIN},
    "hold-place": {ADMIN},
    "hold-lift": {ADMIN},
}


@pytest.fixture
def signed_in(client: Client) -> Callable[[str], Client]:
    def sign_in(role: str) -> Client:
        client.force_login(a_user(role=role))
        return client

    return sign_in


@pytest.fixture
def ids(settings: Settings, tmp_path: Path) -> dict[str, int | str | tuple[int, str]]:
    """Something to show on each page: what its address takes."""
    settings.RELEASES_DIR = tmp_path
    face = a_face()
    person = a_person([face], name="Ada")
    cluster = a_cluster([a_face(), a_face()])
    some_labelled(1)
    release, of = released().pk, an_annotator().pk
    conflict = a_single(face, attribute="emotion", purpose="verdict").pk
    erased, hold = _erased("a request"), _held("a case")
    return {
        **dict.fromkeys(("erasure", "erasure-report", "erasure-go-on", "erasure-let-back"), erased), "hold-lift": hold,
        "release": release, "release-datasheet": release, "release-verify": release,
        "release-download": (release, "csv"),
        "person": person.pk, "merge-with": person.pk, "rename": person.pk, "describe": person.pk,
        "by-likeness": person.pk, "split-by-likeness": person.pk, "cluster": cluster.pk,
        "conflict": conflict, "decide": conflict, "reopen": conflict, "annotator": of, "reassign": of,
        "photo": face.photo_id, "photo-file": face.photo_id, "photo-small": face.photo_id, "face": face.pk,
        "face-crop": face.pk, "source": face.photo.source_id, "upload": face.photo.source_id,
        "refusals": face.photo.source_id, "refusals-csv": face.photo.source_id, "state-rights": face.photo.source_id,
        "start-intake": face.photo.source_id, "run": cluster.run_id, "run-apply": cluster.run_id,
        "certificate-revoke": a_certificate().pk, "let-back": a_user().pk,
        "run-discard": cluster.run_id, "undo": 1, "token-revoke": 1, "practice-picture": min(practice.pictures()),
    }  # fmt: skip


def _erased(reason: str) -> int:
    admin = a_user(role=ADMIN)
    asked = erasure.request(kind="photo", ids=[a_photo().pk], reason=reason, by=admin)
    erasure.carry_out(asked.pk)
    return asked.pk


def _held(because: str) -> int:
    return holds.place(on=a_photo(), because=because, by=a_user(role=ADMIN)).pk


def _address(name: str, ids: dict[str, int | str | tuple[int, str]]) -> str:
    taken = ids.get(name, ())
    return reverse(name, args=taken if isinstance(taken, tuple) else [taken])


def test_every_page_is_in_the_table_of_roles() -> None:
    names = {pattern.name for pattern in get_resolver("annotation.urls").url_patterns if getattr(pattern, "name", None)}

    assert names == set(PAGES) | set(ACTS)


Ids = dict[str, int | str | tuple[int, str]]
# They lead somewhere else, or answer 404 for want of the files behind the rows, to whoever may see them.
ELSEWHERE = {"erasure-ask", "merge-preview", "merge-with", "photo-file", "photo-small", "face-crop", "home"}


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_page_opens_for_its_roles_only(signed_in: Callable[[str], Client], ids: Ids, role: str) -> None:
    client, told = signed_in(role), {}
    for name in PAGES:
        response = client.get(_address(name, ids))
        if response.streaming:
            b"".join(response.streaming_content)  # to its end, where its file is closed
        told[name] = response.status_code

    cells = {(role, name, status): (status != 403) == (role in PAGES[name]) for name, status in told.items()}
    tried("role × page: annotation", cells)
    assert {told[name] for name in ELSEWHERE} <= {200, 302, 403, 404}
    assert {status for name, status in told.items() if name not in ELSEWHERE} <= {200, 403}


@pytest.mark.parametrize("role", sorted(ROLES))
def test_an_act_is_open_to_its_roles_only(signed_in: Callable[[str], Client], ids: Ids, role: str) -> None:
    client, told = signed_in(role), {}
    for name in ACTS:
        with transaction.atomic():  # each finds what the others would have changed as it was
            told[name] = client.post(_address(name, ids)).status_code
            transaction.set_rollback(True)

    assert told.pop("token-revoke") == 404  # one's own is revoked in test_tokens
    cells = {(role, name, code): code == (302 if role in ACTS[name] else 403) for name, code in told.items()}
    tried("role × act of a page: annotation", cells)


def test_nobody_sees_a_page_without_signing_in(client: Client, ids: Ids) -> None:
    for name in PAGES:
        response = client.get(_address(name, ids))
        led_to = response.headers.get("Location", "")
        tried("nobody × page: annotation", {name: (response.status_code, led_to[:8]) == (302, "/sign-in")})


def test_an_act_is_no_link(signed_in: Callable[[str], Client], ids: Ids) -> None:
    client = signed_in(ADMIN)
    tried("an act by a link: annotation", {name: client.get(_address(name, ids)).status_code == 405 for name in ACTS})


def test_an_act_without_the_forms_token_does_nothing(ids: dict[str, int]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(a_user(role=ADMIN))

    response = client.post(_address("rename", ids), {"name": "Eve"})

    assert response.status_code == 403
    assert b"Load the page again" in response.content


HOSTILE = "<script>alert(1)</script>\"'<img src=x onerror=alert(2)>"


@pytest.fixture
def hostile_ids(settings: Settings, tmp_path: Path) -> dict[str, int]:
    settings.RELEASES_DIR = tmp_path
    source = a_source(HOSTILE.replace("/", ""), licence=HOSTILE, legal_basis=HOSTILE)
    photo = a_photo(
        source,
        file=HOSTILE,
        query=HOSTILE,
        caption=HOSTILE,
        name=HOSTILE,
        source_url=f"javascript:{HOSTILE}",
        metadata={HOSTILE: HOSTILE},
    )
    face, other = a_face(photo, unusable_because=HOSTILE), a_face(a_photo(source, query=HOSTILE))
    person, second = a_person([face], name=HOSTILE), a_person([other], name=HOSTILE)
    source.refusals.create(file=HOSTILE, code="x", reason=HOSTILE)
    source.intakes.create(kind="folder", state="failed", error=HOSTILE)
    cluster = a_cluster([a_face(photo, number=1, chosen=False), a_face(photo, number=2, chosen=False)])
    a_run(state="proposed")
    a_question([a_face(photo, number=3, chosen=False)], cluster=cluster)
    a_pair(person, second)
    with_picture(face)
    asked = create_release(name=HOSTILE.replace("/", ""), query={}, purpose=HOSTILE, by=None)
    build(asked.pk)
    Release.objects.create(name="failed", query={}, state="failed", error=HOSTILE)
    ids = {"person": person.pk, "photo": photo.pk, "face": face.pk, "cluster": cluster.pk, "source": source.pk}
    _held(HOSTILE)
    return ids | {
        "erasure": _erased(HOSTILE),
        "upload": source.pk,
        "refusals": source.pk,
        "run": cluster.run_id,
        **dict.fromkeys(("merge-with", "by-likeness"), person.pk),
        "conflict": a_single(face, attribute="emotion", purpose="verdict").pk,
        "annotator": an_annotator().pk,
        "release": asked.pk,
    }


NO_MARKUP = {"photo-file", "photo-small", "face-crop", "refusals-csv", "labels-csv", "labels-parquet"} | {
    "release-datasheet", "release-download", "practice-picture", "audit-export", "erasure-report",
}  # fmt: skip


def test_no_scraped_text_becomes_markup(signed_in: Callable[[str], Client], hostile_ids: Ids) -> None:
    client, other = signed_in(ADMIN), max(int(str(hostile_ids["person"])) + 1, 2)
    query = f"?other=%23{other}&search={HOSTILE}&query={HOSTILE}&cursor={HOSTILE}&sort=faces"
    for name in sorted(set(PAGES) - NO_MARKUP):
        tags = Tags.of(client.get(_address(name, hostile_ids) + query, follow=True).content.decode())

        # What is only data (the desk's words) does not run, wherever it lies.
        scripts = [attributes for tag, attributes in tags if tag == "script"]
        assert all(each.get("src") or each.get("type") == "application/json" for each in scripts), name
        assert all(attributes.get("src") != "x" for tag, attributes in tags if tag == "img"), name
        assert not [one for one in tags if one[1].get("href", "").startswith("javascript:")], name
        # Nothing inline: the content security policy would refuse it anyway.
        assert not [tag for tag, attributes in tags if tag == "style" or "style" in attributes], name
        assert not [tag for tag, attributes in tags if any(each.startswith("on") for each in attributes)], name


class Tags(HTMLParser):
    """The tags of a page with their attributes, as a browser would read them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    @classmethod
    def of(cls, page: str) -> list[tuple[str, dict[str, str]]]:
        parser = cls()
        parser.feed(page)
        return parser.found


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_an_act_leads_back_to_our_own_pages_only(
    signed_in: Callable[[str], Client], ids: dict[str, int], elsewhere: str
) -> None:
    response = signed_in(CURATOR).post(reverse("undo", args=[10**9]), {"next": elsewhere})

    assert response["Location"] == reverse("home")


def test_signing_in_leads_back_to_our_own_pages_only(client: Client) -> None:
    a_user("ada", password="a long passphrase")

    response = client.post(
        reverse("login"), {"username": "ada", "password": "a long passphrase", "next": "https://evil.example/"}
    )

    assert response["Location"] == reverse("home")


def test_a_page_carries_the_policy_that_stops_foreign_scripts(signed_in: Callable[[str], Client]) -> None:
    policy = signed_in(CURATOR).get(reverse("people"))["Content-Security-Policy"]

    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_what_is_missing_is_told_on_a_page(signed_in: Callable[[str], Client]) -> None:
    response = signed_in(CURATOR).get("/people/123456/")

    assert response.status_code == 404
    assert b"nothing at this address" in response.content


def test_health_is_told_without_signing_in(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


def test_an_admin_makes_a_user_with_a_role(signed_in: Callable[[str], Client]) -> None:
    admin = a_user(role=ADMIN)
    admin.is_staff = admin.is_superuser = True
    admin.save()
    client = signed_in(ADMIN)
    client.force_login(admin)
    secret = "correct horse battery"

    client.post(
        "/admin/annotation/user/add/",
        {"username": "grace", "role": "curator", "usable_password": "true", "password1": secret, "password2": secret},
    )

    made = User.objects.get(username="grace")
    assert (made.role, made.is_staff, made.check_password(secret)) == ("curator", False, True)


def test_the_ledger_cannot_be_edited_in_the_admin(client: Client) -> None:
    admin = a_user(role=ADMIN)
    admin.is_staff = admin.is_superuser = True
    admin.save()
    client.force_login(admin)
    line = a_person(1).decisions.get()

    assert client.get("/admin/annotation/decision/").status_code == 200
    assert client.post(f"/admin/annotation/decision/{line.pk}/change/", {"kind": "name"}).status_code == 403
    assert client.post(f"/admin/annotation/decision/{line.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get("/admin/annotation/decision/add/").status_code == 403


def test_the_annotate_page_counts_the_open_questions_of_its_kind(signed_in: Callable[[str], Client]) -> None:
    a_question(2)
    a_pair()

    assert signed_in(ANNOTATOR).get(reverse("annotate"), {"kind": "pair"}).context["tally"].open == 1
    assert Question.objects.filter(state="open").count() == 2


def test_ones_own_answers_are_known_again_by_their_faces(client: Client) -> None:
    ann = an_annotator("ann")
    asked, other = (a_question([with_picture(a_face()) for _ in range(count)]) for count in (8, 1))
    marked = asked.shown.last().face_id
    for question, content in ((asked, {"marks": {str(marked): "other"}}), (other, {})):
        content |= {"verdict": "one_person"}
        record_answer(question_id=question.pk, annotator=ann, client_id=uuid4(), content=content)
    client.force_login(ann)

    page = client.get("/answers/").content.decode()

    faces = [int(face) for face in re.findall(r"/faces/(\d+)/crop", page)]
    assert len(faces) == 1 + FEW
    assert faces[1] == marked
    picture = client.get(re.findall(r'src="(/faces/[^"]+)"', page)[1])
    assert b"".join(picture.streaming_content)
    picture.close()
