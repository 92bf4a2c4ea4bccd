"""The descriptions of fields come from the docstrings below them."""

from __future__ import annotations

import types
from typing import Literal

from pydantic import Field

from harness.config import Config
from harness.study.describing.field_texts import class_text, field_texts


class Shape(Config):
    size: int
    """How large
    the shape is.
    """

    colour: str = "red"
    """The colour of the shape."""

    weight: float = Field(default=1.0, description="The weight in kilograms.")
    corners: int = 0


class Circle(Shape):
    """A shape without corners.

    It has a radius.
    """

    kind: Literal["circle"] = "circle"
    colour: str = "blue"
    """The colour of the line."""


def test_a_description_is_one_line_and_a_field_may_have_none() -> None:
    assert Shape(size=1).corners == 0
    assert field_texts(Shape) == {
        "size": "How large the shape is.",
        "colour": "The colour of the shape.",
        "weight": "The weight in kilograms.",
    }


def test_a_class_inherits_descriptions_and_replaces_them() -> None:
    assert field_texts(Circle) == {
        "size": "How large the shape is.",
        "colour": "The colour of the line.",
        "weight": "The weight in kilograms.",
        "kind": "A shape without corners.",
    }


def test_the_text_of_a_class_is_its_first_paragraph_alone() -> None:
    assert class_text(Circle) == "A shape without corners."
    assert class_text(type("Small", (Circle,), {})) == ""


def test_a_class_without_source_has_the_descriptions_of_its_base() -> None:
    made = types.new_class("Made", (Shape,), exec_body=lambda body: body.update(__module__="nowhere"))
    assert field_texts(made) == field_texts(Shape)
