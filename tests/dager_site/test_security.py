"""Closed by default: Django's own checks for a site in use, the signing key, what becomes of uploads."""

import importlib.util
import io
import os
import stat
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.conf import settings as used
from django.core.checks import run_checks
from django.test import Client
from PIL import Image

from annotation import intake
from annotation.models import Photo
from dager_site import environment
from tests.factories import a_source, a_user


def settings_with(monkeypatch: pytest.MonkeyPatch, **environment_: str) -> ModuleType:
    """The settings file read anew in such an environment."""
    for name, value in environment_.items():
        monkeypatch.setenv(name, value)
    found = importlib.util.spec_from_file_location("settings_read_anew", Path(used.BASE_DIR, "dager_site/settings.py"))
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.once
@pytest.mark.django_db
def test_django_s_checks_for_a_site_in_use_find_nothing(settings: Any, monkeypatch: pytest.MonkeyPatch):
    read = settings_with(monkeypatch, DAGER_HTTPS="1", ALLOWED_HOSTS="dager.example.org")
    for name in dir(read):
        if name.isupper() and name not in ("DATABASES", "STORAGES", "CACHES", "LOGGING", "PASSWORD_HASHERS"):
            setattr(settings, name, getattr(read, name))
    assert run_checks(include_deployment_checks=True) == []
    assert settings.SESSION_COOKIE_SECURE
    assert settings.SECURE_HSTS_SECONDS >= 31_536_000


@pytest.mark.once
@pytest.mark.django_db
def test_a_probe_of_a_process_itself_is_answered_without_tls(settings: Any, monkeypatch: pytest.MonkeyPatch):
    read = settings_with(monkeypatch, DAGER_HTTPS="1")
    for name in ("SECURE_SSL_REDIRECT", "SECURE_REDIRECT_EXEMPT"):
        setattr(settings, name, getattr(read, name, getattr(settings, name)))
    asked = {address: Client().get(address).status_code for address in ("/healthz", "/readyz", "/sign-in", "/metrics")}
    assert (asked["/healthz"], asked["/readyz"] in (200, 503)) == (200, True)
    assert (asked["/sign-in"], asked["/metrics"]) == (301, 301)  # with a password, with a token


@pytest.mark.once
def test_the_signing_key_is_made_whole_and_for_its_owner_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DAGER_X_KEY", raising=False)
    old = os.umask(0)  # the most open that there is
    try:
        key = environment.secret("DAGER_X_KEY", tmp_path)
    finally:
        os.umask(old)
    path = tmp_path / "secret_key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(key) >= 50
    assert environment.secret("DAGER_X_KEY", tmp_path) == key
    assert environment.secret("DAGER_X_KEY", tmp_path.parent) != key
    path.chmod(0o644)
    environment.secret("DAGER_X_KEY", tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["secret_key"]


@pytest.mark.once
def test_a_folder_that_we_make_is_its_owner_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DAGER_X", str(tmp_path / "made"))
    assert stat.S_IMODE(environment.folder("DAGER_X", tmp_path).stat().st_mode) == 0o700


@pytest.mark.django_db
def test_a_file_that_came_with_a_script_in_it_leaves_as_a_picture_and_nothing_else(client: Client):
    """Whatever its name and type say: it is what its content is, and served as that, where nothing can run."""
    curator = a_user()
    script = b"<html><script>alert(1)</script></html>"
    for form, kind in (("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")):
        stream = io.BytesIO()
        Image.new("RGB", (90, 60), (9, 80, 120)).save(stream, form)
        name = f"{form}.html"
        taken = intake.take_upload(source=a_source(), name=name, data=stream.getvalue() + script, by=curator)
        assert taken.outcome == "taken"
        client.force_login(curator)
        for address in (f"/photos/{taken.photo.pk}/file", f"/photos/{taken.photo.pk}/small"):
            response = client.get(address)
            assert b"".join(response.streaming_content).endswith(script)  # type: ignore[attr-defined]
            assert response["Content-Type"] == kind
            assert response["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in response["Content-Security-Policy"]
            assert "default-src 'none'" in response["Content-Security-Policy"]
            assert ".html" not in response["Content-Disposition"]
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    for name in ("x.jpg", "x.svg", "x.png", "x.html"):
        assert intake.take_upload(source=a_source(), name=name, data=svg, by=curator).outcome == "refused"
    assert set(Photo.objects.values_list("format", flat=True)) == {"jpg", "png", "webp"}


@pytest.mark.django_db
def test_what_is_answered_before_any_view_has_the_policy_too(client: Client):
    style = client.get("/static/annotation/app.css")
    stranger = client.get("/sign-in", headers={"host": "elsewhere.example"})
    assert (style.status_code, stranger.status_code) == (200, 400)
    for response in (style, stranger):
        assert "default-src" in response["Content-Security-Policy"]
        assert response["X-Content-Type-Options"] == "nosniff"
    style.close()


@pytest.mark.django_db
def test_a_page_that_the_browser_keeps_keeps_its_policy(client: Client):
    client.force_login(a_user())
    page = client.get("/api/docs/")
    again = client.get("/api/docs/", headers={"if-none-match": page["ETag"]})
    assert again.status_code == 304
    assert again.get("Content-Security-Policy", page["Content-Security-Policy"]) == page["Content-Security-Policy"]
