"""The forms of claims. Each file that declares a form is found here by its name, so a new form is a new file
here, and one with the same name in `harness.analysis.claims`.
"""

from __future__ import annotations

import pkgutil
from functools import reduce
from importlib import import_module
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Discriminator, Tag

from harness.study.claims.base import Claim

FORMS: dict[str, type[Claim]] = {
    module.name: declared
    for module in pkgutil.iter_modules(__path__)
    for declared in vars(import_module(f"{__name__}.{module.name}")).values()
    if isinstance(declared, type) and issubclass(declared, Claim) and module.name in declared.model_fields
}
"""The class of each form, by the key that states it."""


def _form(document: Any) -> str | None:
    if not isinstance(document, dict):
        return type(document).form() if isinstance(document, Claim) else None
    forms = [form for form in FORMS if form in document]
    return forms[0] if len(forms) == 1 else None


if TYPE_CHECKING:
    AnyClaim = Claim
else:
    AnyClaim = Annotated[
        reduce(or_, (Annotated[declared, Tag(form)] for form, declared in FORMS.items())),
        Discriminator(
            _form,
            custom_error_type="claim_form",
            custom_error_message=f"a claim states exactly one of: {', '.join(FORMS)}",
        ),
    ]
