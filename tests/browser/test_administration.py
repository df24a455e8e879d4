"""The pages of admins, the audit log and the settings, on a phone and a desk, light and dark."""

import pytest

from annotation import audit, live_settings
from annotation.models import User
from tests.browser.scenes import Site
from tests.browser.test_pages import assert_fits_and_hinders_nobody
from tests.factories import a_user

pytestmark = pytest.mark.django_db(transaction=True)


def test_they_fit_and_hinder_nobody(site: Site) -> None:
    admin = a_user("ada", User.Role.ADMIN)
    audit.write("see", by=admin, details={"page": "faces", "faces": list(range(40, 140))})
    audit.write("sign_in_failed", by=None, details={"address": "203.0.113.9"})
    live_settings.change("CONTROL_SHARE", 0.05, by=admin, reason="calibrators starve")
    audit.seal()
    site.sign_in(admin)
    for path in ("/audit/", "/settings/"):
        assert_fits_and_hinders_nobody(site.open(path), path)
