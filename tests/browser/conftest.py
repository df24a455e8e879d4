"""The site that the browser visits."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page

if TYPE_CHECKING:
    from tests.browser.scenes import Site


@pytest.fixture
def site(live_server: object, page: Page, monkeypatch: pytest.MonkeyPatch) -> "Iterator[Site]":
    """The site of this test, with a curator whom nobody has signed in yet. No worker runs behind it."""
    # Django is not set up yet when this file is loaded.
    from annotation import tasks  # noqa: PLC0415
    from tests.browser.scenes import open_site  # noqa: PLC0415

    monkeypatch.setattr(tasks, "feed_belt", lambda: None)
    yield open_site(str(live_server), page)
    page.goto("about:blank")  # so that no request of the page meets a database that is being emptied
