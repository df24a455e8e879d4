"""The pages of admins, the audit log and the settings, on a phone and a desk, light and dark."""

import pytest

from annotation import accounts, audit, erasure, holds, live_settings, tokens
from annotation.models import Decision, Erasure, Release, Source, User
from tests.browser.scenes import Site
from tests.browser.test_pages import GROUND, SCHEMES, assert_fits_and_hinders_nobody, faults_of
from tests.factories import a_face, a_person, a_photo, a_picture, a_source, a_user

pytestmark = pytest.mark.django_db(transaction=True)


def test_they_fit_and_hinder_nobody(site: Site) -> None:
    admin = a_user("ada", User.Role.ADMIN)
    audit.write("see", by=admin, details={"page": "faces", "faces": list(range(40, 140))})
    audit.write("sign_in_failed", by=None, details={"address": "203.0.113.9"})
    live_settings.change("CONTROL_SHARE", 0.05, by=admin, reason="calibrators starve")
    audit.seal()
    site.sign_in(admin)
    for path in ("/audit/", "/settings/", *forgotten(admin)):
        assert_fits_and_hinders_nobody(site.open(path), path)
    site.page.set_viewport_size({"width": 375, "height": 740})
    log = site.open("/audit/").locator(".table")
    assert log.evaluate("(log) => log.scrollWidth <= log.clientWidth")  # all of a line is read without scrolling aside
    assert not faults_of(site.page)


def test_the_admin_hinders_nobody_and_its_console_stays_empty(site: Site) -> None:
    """Its index, lists with filters and search, forms; that no error is on the console, `page` sees to."""
    admin, curator = a_user("ada", User.Role.ADMIN), a_user("grace")
    admin.is_staff = admin.is_superuser = True
    admin.save()
    tokens.make(owner=curator, name="Nightly import", scopes=["curate", "predict"], days=90)
    line = Decision.objects.filter(identity=a_person(2, "Ada")).latest("pk").pk
    accounts.restrict(curator, Source.objects.all(), by=admin)
    site.sign_in(admin)
    for path in (
        "",
        "annotation/user/?q=gr&role__exact=curator",
        f"annotation/user/{curator.pk}/change/",
        "annotation/user/add/",
        f"annotation/source/{Source.objects.latest('pk').pk}/change/",
        "annotation/accesstoken/",
        "annotation/decision/?q=1",
        f"annotation/decision/{line}/change/",
    ):
        page = site.open(f"/admin/{path}")
        for width in (375, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} at {width}"
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            assert (page.evaluate(GROUND) < 0.2) == (scheme == "dark"), path
            grave = [fault for fault in faults_of(page) if "(serious)" in fault or "(critical)" in fault]
            assert not grave, f"{path} in the {scheme}: {grave}"


def forgotten(admin: User) -> list[str]:
    """The pages of erasures, with something on each."""
    source = a_source("A source with a long name, which is told in full", retention_until="2030-01-01")
    shown = a_picture(a_face(a_photo(source)).photo)
    other = a_picture(a_face(a_photo(source)).photo)
    berta = a_person([other.faces.get(), shown.faces.get()], name="Berta", by=admin)
    gone = a_picture(a_face(a_photo(source)).photo)
    release = Release.objects.create(name="spring", state="done", query={}, checksum="ab", folder="spring", counts={})
    asked = erasure.request(kind="photo", ids=[gone.pk], reason="request 7 of 1 May", by=admin)
    erasure.carry_out(asked.pk)
    report = Erasure.objects.get(pk=asked.pk).report
    marked = {"id": release.pk, "name": "spring", "checksum": "ab", "folder": "00001-spring", "photos": 1, "models": []}
    taken = {"line": 12, "at": "2026-11-26T03:00:00+00:00", "by": "ada", "what": "labels-csv"}
    Erasure.objects.filter(pk=asked.pk).update(report=report | {"releases": [marked], "exports": [taken]})
    stopped = erasure.request(kind="photo", ids=[shown.pk], reason="request 8", by=admin)
    Erasure.objects.filter(pk=stopped.pk).update(state="failed", error="No space left on device", total=4, done=2)
    running = erasure.request(kind="face", ids=[shown.faces.get().pk], reason="request 9", by=admin)
    Erasure.objects.filter(pk=running.pk).update(state="running", total=4, done=2)
    hold = holds.place(on=source, because="case 7 of the court of B.", by=admin)
    holds.lift(hold=hold, because="dismissed", by=admin)
    holds.place(on=a_photo(), because="case 8", by=admin)
    return [
        "/erasures/",
        f"/erasures/ask?kind=person&ids={berta.pk}",
        *(f"/erasures/{each.pk}/" for each in (asked, stopped, running)),
        "/holds/",
        f"/sources/{source.pk}/",
        f"/people/{berta.pk}/",
        f"/photos/{shown.pk}/",
        "/export/",
    ]
