"""Wrong passwords make the next ones wait, longer each time; a right one is never counted."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotation import lockout
from annotation.models import SignInTries

pytestmark = pytest.mark.django_db
NOW, NONE = timezone.now(), timedelta(0)


def test_five_are_free_then_each_waits_twice_as_long_up_to_half_an_hour():
    assert [lockout.begin("ada", "", NOW) for _ in range(5)] == [NONE] * 5
    assert lockout.begin("Ada", "", NOW) == timedelta(seconds=30)
    assert lockout.begin("ada", "", NOW + timedelta(seconds=29)) == timedelta(seconds=1)  # to wait is no try
    later, waits = NOW, []
    for _ in range(9):
        later += lockout.begin("ada", "", later)
        assert lockout.begin("ada", "", later) == NONE
        waits.append(lockout.begin("ada", "", later).total_seconds())
    assert waits == [60, 120, 240, 480, 960, 1800, 1800, 1800, 1800]
    assert lockout.begin("grace", "", later) == NONE


def test_a_right_one_clears_the_account_and_a_day_everything():
    for _ in range(4):
        lockout.begin("ada", "10.0.0.1", NOW)
    lockout.begin("ada", "10.0.0.1", NOW)
    lockout.succeeded("ada", "10.0.0.1")
    assert list(SignInTries.objects.order_by("failures").values_list("failures", "until")) == [(0, None), (4, None)]
    for _ in range(5):
        lockout.begin("ada", "", NOW)
    assert lockout.begin("ada", "", NOW)
    assert lockout.begin("ada", "", NOW + timedelta(days=1, seconds=1)) == NONE
    assert SignInTries.objects.get(failures=1)


def test_an_address_is_counted_over_all_names_and_a_house_of_ipv6_is_one():
    for n in range(20):
        assert lockout.begin(f"name{n}", f"2001:db8::{n:x}", NOW) == NONE
    assert lockout.begin("another", "2001:db8::ffff", NOW) == timedelta(seconds=30)
    assert lockout.begin("another", "2001:db8:0:1::1", NOW) == NONE
    assert "another" not in str(list(SignInTries.objects.values_list("of", flat=True)))  # "ada" can be hexadecimal
