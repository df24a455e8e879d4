"""What is done about known holes of packages. Whether there are any is asked by `make lint`, not here."""

from datetime import date

import pytest

from tests import advisories

pytestmark = pytest.mark.once
HOLE = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2.1"], "description": "It runs what it reads."}
TOLD = [{"name": "x", "version": "2.0", "vulns": [HOLE]}, {"name": "y", "version": "1.0", "vulns": []}]


def test_a_hole_fails_unless_it_was_accepted_until_a_later_day():
    today = date(2026, 11, 26)
    accepted = {"CVE-1": {"reason": "never called", "until": date(2026, 12, 31)}}
    assert advisories.sorted_out(TOLD, {}, today)[0] == ["x 2.0 has PYSEC-1: It runs what it reads. Mended in: 2.1."]
    assert advisories.sorted_out(TOLD, accepted, today) == ([], ["PYSEC-1"])
    (told,), _ = advisories.sorted_out(TOLD, accepted, date(2027, 1, 1))
    assert "it was accepted, but no longer" in told
    accepted["CVE-1"]["reason"] = ""
    assert advisories.sorted_out(TOLD, accepted, today)[0]
    skipped = [{"name": "z", "skip_reason": "not found"}]
    assert advisories.sorted_out(skipped, {}, today)[0] == ["z was not audited: not found"]


def test_every_pin_is_asked_about():
    assert len(advisories.pins(advisories.PINS.read_text())) > 100
    assert advisories.pins("# a==1\nx==2.0\n\ny>=1\nz.z-z==3") == ["x==2.0", "z.z-z==3"]


def test_where_no_service_is_reached_that_is_said_and_nothing_is_called_clean(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    skipped = [{"name": "django", "skip_reason": "Dependency not found on PyPI and could not be audited"}]
    for answer in ([], skipped, [{"name": "django", "version": "3.2.0", "vulns": []}]):
        monkeypatch.setattr(advisories, "ask", lambda *_: answer)  # noqa: B023
        assert advisories.main() == 0
        assert "NOT AUDITED: cannot reach an advisory service (pypi.org, api.osv.dev)" in capsys.readouterr().out
    monkeypatch.setattr(advisories, "ask", lambda *_: TOLD)
    assert advisories.main() == 1
