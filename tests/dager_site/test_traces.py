"""One id for a request: in its response, in the envelope of its error, in every log line. And whether all is ready."""

import json
import logging

import pytest
from celery.signals import before_task_publish, task_prerun
from django.conf import settings
from django.test import Client

from annotation import tasks
from dager_site.logs import JsonLines, Lines, RefusalsInOneLine, WithRequestId, request_id
from inference import registry
from tests.factories import a_user

pytestmark = pytest.mark.django_db


def test_a_sane_id_of_the_client_is_kept_and_any_other_replaced(client: Client):
    client.force_login(a_user())
    kept = client.get("/api/v1/faces/999999999", headers={"X-Request-ID": "job-42.step_7"})
    assert kept["X-Request-ID"] == kept.json()["request_id"] == "job-42.step_7"
    made = set()
    for odd in ("", "short", "x" * 65, "two words here", "line\nbreak", "<script>alert(1)</script>"):
        answer = client.get("/api/v1/faces/999999999", headers={"X-Request-ID": odd})
        assert answer["X-Request-ID"] == answer.json()["request_id"] != odd
        made.add(answer["X-Request-ID"])
    assert len(made) == 6
    assert "X-Request-ID" in client.get("/faces/")


def test_log_lines_say_it_as_text_and_as_json(client: Client, caplog: pytest.LogCaptureFixture):
    caplog.handler.addFilter(WithRequestId())
    client.force_login(a_user())
    with caplog.at_level(logging.INFO):
        client.get("/api/v1/faces/999999999", headers={"X-Request-ID": "job-4242"})
    assert {each.request_id for each in caplog.records} == {"job-4242"}  # Django's own line of the 404, too
    (record,) = (each for each in caplog.records if each.name == "dager_site.api_errors")
    assert record.request_id == "job-4242"
    line = json.loads(JsonLines().format(record))
    assert (line["request_id"], line["level"], line["logger"]) == ("job-4242", "INFO", "dager_site.api_errors")
    assert "not_found" in line["message"]
    (record,) = (each for each in caplog.records if each.name == "dager_site.middleware")
    line = json.loads(JsonLines().format(record))
    assert (line["method"], line["path"], line["status"]) == ("GET", "/api/v1/faces/999999999", 404)
    assert line["message"] == f"GET /api/v1/faces/999999999 404 in {line['ms']:.0f} ms"
    forged = logging.LogRecord("x", logging.INFO, "", 0, "kind=%s", ("x\n2026 ERROR forged\u2028more",), None)
    WithRequestId().filter(forged)
    assert Lines("{request_id} {message}", style="{").format(forged) == "- kind=x\\n2026 ERROR forged\\u2028more"
    try:
        raise ValueError("why\nso")
    except ValueError:
        broken = logging.LogRecord("x", logging.ERROR, "", 0, "It %s", ("broke",), __import__("sys").exc_info())
    told = JsonLines().format(broken)
    assert "\n" not in told
    assert json.loads(told)["message"] == "It broke"
    assert "ValueError: why" in json.loads(told)["exception"]


def test_who_is_refused_a_page_leaves_no_traceback(client: Client, caplog: pytest.LogCaptureFixture):
    caplog.handler.addFilter(RefusalsInOneLine())
    client.force_login(a_user("ann", "annotator"))
    assert client.get("/sources/").status_code == 403
    (record,) = (each for each in caplog.records if each.name == "django.request")
    assert record.exc_info is None
    assert Lines("{message}", style="{").format(record) == "Forbidden (Permission denied): /sources/"
    assert "refusals" in settings.LOGGING["handlers"]["stderr"]["filters"]


@pytest.mark.parametrize(
    "name", ["onnx_ir.passes", "onnxscript.optimizer", "torch.onnx._internal.exporter._registration"]
)
def test_a_training_is_not_drowned_by_what_its_exporter_tells(name: str):
    assert not logging.getLogger(name).isEnabledFor(logging.INFO)


def test_ready_is_said_once_queue_and_model_are_there(client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path):
    if not settings.REDIS:
        monkeypatch.setattr(settings, "QUEUE_DIR", tmp_path)
        assert client.get("/readyz").json() == {"status": "no live model; no queue"}
        (tmp_path / "messages").mkdir()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"status": "no live model"})
    registry.ensure_live()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


def test_a_queue_that_does_not_answer_is_said(client: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(settings, "REDIS", "redis://127.0.0.1:9/0")
    registry.ensure_live()
    assert client.get("/readyz").json() == {"status": "no queue"}


def test_what_a_request_sets_off_is_logged_under_its_id():
    headers, task = dict[str, str](), tasks.sweep
    before = request_id.set("a-request-1")
    before_task_publish.send(sender=task.name, headers=headers)
    request_id.reset(before)
    assert request_id.get() == "-"

    task.push_request(**headers)
    task_prerun.send(sender=task, task=task)
    within = request_id.get()
    task.pop_request()
    task.push_request()
    task_prerun.send(sender=task, task=task)
    task.pop_request()

    assert (within, request_id.get()) == ("a-request-1", "-")
