"""*Try it* in a real browser: dropped, pasted, chosen or taken, the photo comes back with its faces drawn on it."""

import re
from io import BytesIO

import pytest
from playwright.sync_api import Page, Route, expect

from annotation.core.drawn import draw_group, draw_portrait
from annotation.models import User
from inference.models import ModelVersion
from tests.browser.scenes import Site
from tests.browser.test_pages import assert_fits_and_hinders_nobody, faults_of
from tests.factories import a_user

pytestmark = pytest.mark.django_db(transaction=True)

HAND_OVER = """([bytes, type, how]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], "my photo.jpg", { type }));
  const event = how === "drop"
    ? new DragEvent("drop", { dataTransfer: data, bubbles: true })
    : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
  document.querySelector("[data-drop]").dispatchEvent(event);
}"""


@pytest.fixture
def page(page: Page) -> Page:
    page.context.grant_permissions(["camera"])
    return page


def as_bytes(seed: int = 10368) -> bytes:
    content = BytesIO()
    draw_portrait(seed, 1).save(content, "JPEG")
    return content.getvalue()


def test_a_photo_is_shown_with_what_is_said_of_its_faces(site: Site) -> None:
    ModelVersion.objects.all().delete()  # the live one is the one that ships
    site.sign_in(a_user("eve", User.Role.ENGINEER))
    page = site.open("/try/")
    page.get_by_label("Choose a photo").set_input_files(
        {"name": "me.jpg", "mimeType": "image/jpeg", "buffer": as_bytes()}
    )

    expect(page.get_by_role("status")).to_have_text("1 face found.")
    expect(page.locator(".photo-shown rect")).to_have_count(1)
    expect(page.locator(".photo-shown circle")).to_have_count(68)
    face = page.get_by_role("region", name="Face 1")
    expect(face.get_by_role("progressbar")).to_have_count(2 + 7)
    expect(face.get_by_text(re.compile(r"^\d+ years$"))).to_be_visible()  # nobody measured how far off it is
    expect(face.locator("svg .likely")).to_have_count(0)
    expect(face.get_by_text("No model is known for it.")).to_be_visible()  # real age
    expect(page.get_by_text("-F photo=@me.jpg")).to_be_visible()
    box, picture = page.locator(".photo-shown rect").bounding_box(), page.locator(".photo-shown img").bounding_box()
    assert box
    assert picture
    assert picture["x"] < box["x"] < box["x"] + box["width"] < picture["x"] + picture["width"]
    assert page.locator(".photo-shown img").evaluate("img => img.naturalWidth") == 360
    page.emulate_media(reduced_motion="reduce")
    assert_fits_and_hinders_nobody(page, "/try/")

    group = BytesIO()
    draw_group([10245, 11178], 3).save(group, "PNG")
    page.evaluate(HAND_OVER, [list(group.getvalue()), "image/png", "drop"])
    expect(page.get_by_role("status")).to_have_text("2 faces found.")
    expect(page.get_by_role("region", name="Face 2")).to_be_visible()
    expect(page.get_by_text("-F photo=@photo.jpg")).to_be_visible()  # its own name would need quotes
    page.evaluate(HAND_OVER, [list(as_bytes()), "image/jpeg", "paste"])
    expect(page.get_by_role("status")).to_have_text("1 face found.")


def a_measured_crowd(route: Route) -> None:
    """The answer for one face, as eight faces of a network whose intervals were measured."""
    answer = route.fetch().json()
    (face,) = answer["faces"]
    answer["faces"] = [face | {"apparent_age": face["apparent_age"] | {"calibrated": True}}] * 8
    route.fulfill(json=answer)


def test_of_a_crowd_each_face_is_a_line_that_opens(site: Site) -> None:
    ModelVersion.objects.all().delete()
    site.sign_in(a_user("eve", User.Role.ENGINEER))
    page = site.open("/try/")
    page.route("**/api/v1/predict", a_measured_crowd)
    page.evaluate(HAND_OVER, [list(as_bytes()), "image/jpeg", "drop"])

    expect(page.get_by_role("status")).to_have_text("8 faces found.")
    faces = page.locator("[data-faces] details")
    expect(faces).to_have_count(8)
    expect(faces.get_by_role("progressbar").first).to_be_hidden()
    expect(faces.nth(7).locator("summary")).to_contain_text(re.compile(r"Face 8.* years"))
    faces.nth(7).locator("summary").press("Enter")
    expect(faces.nth(7).get_by_text("years, nine times in ten")).to_be_visible()
    expect(faces.nth(7).locator("svg .likely")).to_have_count(1)
    assert_fits_and_hinders_nobody(page, "/try/")


def test_what_is_no_photo_is_told_and_the_page_goes_on(site: Site, page_problems: list[str]) -> None:
    site.sign_in(a_user("eve", User.Role.ENGINEER))
    page = site.open("/try/")
    page.evaluate(HAND_OVER, [[1, 2, 3], "image/jpeg", "drop"])
    expect(page.get_by_role("status")).to_contain_text("The content is no JPEG, PNG or WebP picture")
    page.evaluate(HAND_OVER, [[1, 2, 3], "text/plain", "drop"])
    expect(page.get_by_role("status")).to_contain_text("That was no picture.")
    assert not (faults := faults_of(page)), faults
    assert [each for each in page_problems if "400" not in each] == []
    page_problems.clear()


def test_the_camera_takes_a_picture_by_keyboard(site: Site) -> None:
    site.sign_in(a_user("eve", User.Role.ENGINEER))
    page = site.open("/try/")
    page.evaluate(
        """() => {
          const canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = [320, 240];
          setInterval(() => canvas.getContext("2d").fillRect(0, 0, 320, 240), 50);
          navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(5);
        }"""
    )
    page.keyboard.press("c")
    expect(page.get_by_role("dialog", name="Camera")).to_be_visible()
    expect(page.locator("video")).to_have_js_property("videoWidth", 320)
    assert not (faults := faults_of(page)), faults
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("No face was found in this photo.")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert page.evaluate("document.querySelector('video').srcObject === null")
    page.evaluate("() => { navigator.mediaDevices.getUserMedia = async () => { throw new Error('denied'); }; }")
    page.get_by_role("button", name="Use the camera").click()
    expect(page.get_by_role("status")).to_contain_text("The camera cannot be used here: denied")
