"""Addresses of pictures in templates: to hand one out is to show the picture, which the audit log is told."""

from typing import Any

from django import template

from annotation.access import crop_address, photo_address, small_address

register = template.Library()


@register.simple_tag(takes_context=True)
def crop(context: dict[str, Any], face: int) -> str:
    return crop_address(face, context["user"])


@register.simple_tag(takes_context=True)
def photo_file(context: dict[str, Any], photo: int) -> str:
    return photo_address(photo, context["user"])


@register.simple_tag(takes_context=True)
def photo_small(context: dict[str, Any], photo: int) -> str:
    return small_address(photo, context["user"])
