"""The forms of claims. Each file that declares a form is found here by its name, so a new form is a new file
here, and one with the same name in `harness.analysis.claims`.
"""

from __future__ import annotations

import inspect
import pkgutil
from functools import reduce
from importlib import import_module
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Discriminator, Tag

from harness.open_union import OpenTo
from harness.plugins import RefusedError, Registry
from harness.study.claims.base import Claim

_SHIPPED: dict[str, type[Claim]] = {
    module.name: declared
    for module in pkgutil.iter_modules(__path__)
    for declared in vars(import_module(f"{__name__}.{module.name}")).values()
    if isinstance(declared, type) and issubclass(declared, Claim) and module.name in declared.model_fields
}


def _named(_: str, value: Any) -> tuple[str, type[Claim]] | None:
    if not isinstance(value, type) or not issubclass(value, Claim) or inspect.isabstract(value):
        return None
    if value.form() not in value.model_fields:
        raise RefusedError(f"{value.__name__} has no field {value.form()!r}, as its form is called")
    if not value.settled_by:
        raise RefusedError(f"{value.__name__} does not say what settles it in `settled_by`")
    return value.form(), value


FORMS: Registry[type[Claim]] = Registry("claims", _SHIPPED, "a subclass of Claim", _named)
"""The class of each form, by the key that states it."""


def _form(document: Any) -> str | None:
    if not isinstance(document, dict):
        return type(document).form() if isinstance(document, Claim) else None
    forms = [form for form in _SHIPPED if form in document] or [
        form for form in FORMS.added() if form in document
    ]
    return forms[0] if len(forms) == 1 else None


if TYPE_CHECKING:
    AnyClaim = Claim
else:
    AnyClaim = Annotated[
        reduce(or_, (Annotated[declared, Tag(form)] for form, declared in _SHIPPED.items())),
        Discriminator(
            _form,
            custom_error_type="claim_form",
            custom_error_message=f"a claim states exactly one of: {', '.join(_SHIPPED)}",
        ),
        OpenTo(FORMS),
    ]
