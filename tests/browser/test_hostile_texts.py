"""A site full of markup that would run, in a real browser: nothing of it does, and no page breaks its own policy."""

from pathlib import Path
from typing import Any

import pytest

from annotation.models import User
from tests.browser.scenes import Site
from tests.hostile.world import build, poison

pytestmark = pytest.mark.django_db(transaction=True)
MADE = (
    "[...document.querySelectorAll('*')].filter(e => e.localName.startsWith('xss') || e.hasAttribute('onerror')).length"
)


def test_nothing_of_it_runs(site: Site, page_problems: list[str], settings: Any, tmp_path: Path) -> None:
    settings.RELEASES_DIR, settings.MODELS_DIR = tmp_path / "releases", tmp_path / "models"
    ids = build()
    poison()
    site.sign_in(User.objects.get(pk=ids["boss"].pk))
    trapped: list[str] = []
    site.page.on("dialog", lambda dialog: (trapped.append(dialog.message), dialog.dismiss()))
    pages = [
        *("/", "/annotate/", "/people/", "/people/acts", "/curate/live", "/curate/annotators/", "/audit/"),
        *(
            "/dashboard/",
            "/tokens/",
            "/admin/",
            "/admin/annotation/user/",
            "/admin/annotation/source/add/",
            "/api/docs/",
        ),
        *(f"/people/{ids['person']}/", f"/photos/{ids['photo']}/", f"/faces/{ids['face']}/", "/try/"),
        f"/sources/{ids['source']}/",
        *(f"/curate/{ids['conflict']}/", f"/trainings/{ids['training']}/", f"/releases/{ids['release']}/"),
        *(f"/admin/annotation/user/{ids['boss'].pk}/change/", "/photos/?query=\"'><xss1>"),
    ]
    for path in pages:
        page = site.open(path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate(MADE) == 0, path
        assert trapped == [], path
    # Pictures of rows without files are missing; what the policy stops would be told in other words.
    assert [each for each in page_problems if "Failed to load resource" not in each] == []
    page_problems.clear()
