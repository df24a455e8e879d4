"""The page *Try it* shows the same call for programs; as it is shown, it runs."""

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from annotation import tokens
from annotation.core.drawn import draw_portrait
from annotation.models import User
from tests.factories import a_user

CALL = re.compile(r'<pre class="call"[^>]*><code>(.*?)</code></pre>', re.DOTALL)


@pytest.mark.django_db(transaction=True)
def test_what_is_shown_for_programs_runs_as_it_is(client: Client, live_server: LiveServer, tmp_path: Path):
    eve = a_user("eve", User.Role.ENGINEER)
    client.force_login(eve)
    page = client.get("/try/", headers={"host": urlsplit(live_server.url).netloc}).content.decode()
    curl, python = (html.unescape(re.sub(r"<[^>]+>", "", shown)) for shown in CALL.findall(page))
    draw_portrait(10368, 1).save(tmp_path / "photo.jpg")
    key = tokens.make(owner=eve, name="a program", scopes=["predict"], days=1)[1]
    environment = os.environ | {"DAGER_TOKEN": key, "PYTHONPATH": os.getcwd()}  # where the client's one file lies

    def run(*words: str) -> str:
        return subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=True
        ).stdout

    (face,) = json.loads(run("sh", "-c", curl))["faces"]
    assert str(face["gender"]) in run(sys.executable, "-c", python)
