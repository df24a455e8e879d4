"""A site with something on it, and somebody who may sign in."""

from dataclasses import dataclass

from django.conf import settings
from django.test import Client
from playwright.sync_api import Page

from annotation.models import Face, Question, User
from tests.factories import (
    a_cluster,
    a_face,
    a_pair,
    a_person,
    a_photo,
    a_picture,
    a_question,
    a_source,
    a_user,
    a_version,
)

PASSWORD = "a long passphrase"


@dataclass(frozen=True)
class Site:
    """Where the site is, and who may sign in."""

    address: str
    curator: User
    page: Page

    def open(self, path: str) -> Page:
        self.page.goto(self.address + path)
        return self.page

    def sign_in(self, user: User | None = None) -> None:
        """Without the sign-in page, which has its own test."""
        client = Client()
        client.force_login(user or self.curator)
        cookie = client.cookies[settings.SESSION_COOKIE_NAME]
        self.page.context.add_cookies(
            [{"name": cookie.key, "value": cookie.value, "url": self.address, "httpOnly": True}]
        )


def open_site(address: str, page: Page) -> Site:
    a_version()
    return Site(address=address, curator=a_user("carol", password=PASSWORD), page=page)


def faces_of(person: int, count: int, query: str = "") -> list[Face]:
    """Drawn photos of one person, a face in each."""
    source = a_source(f"Album {person}")
    faces = []
    for number in range(count):
        face = a_face(a_photo(source, width=240, height=240, query=query), x=60.0, y=50.0, width=120.0, height=140.0)
        a_picture(face.photo, person * 100 + number)
        faces.append(face)
    return faces


def a_cluster_question(person: int = 1, count: int = 6, worth: float = 1.0, query: str = "Ada") -> Question:
    faces = faces_of(person, count, query)
    return a_question(faces, cluster=a_cluster(faces), worth=worth)


def a_pair_question(worth: float = 1.0) -> Question:
    return _worth(a_pair(a_person(faces_of(3, 3), "Grace"), a_person(faces_of(4, 2))), worth)


def _worth(question: Question, worth: float) -> Question:
    question.worth = worth
    question.save()
    return question
