"""Records what a study declares: its claims whenever it is run or judged, and all of it on request."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from harness.config import canonical_json, content
from harness.machine.code_digest import code_digests
from harness.run.identity import DIGEST_PREFIX
from harness.store.rows import Declaration, DeclaredClaim, Run, now
from harness.store.store import Store
from harness.study.arms import arms, conditions
from harness.study.claim_content import claim_content, claim_digest, declared_digest, margin_contents
from harness.study.loaded import LoadedStudy, Study
from harness.study.measured import measured_content


def declare_claims(store: Store, parts: Iterable[LoadedStudy]) -> None:
    """Record every claim, and every margin, that the store has not seen.

    Claims with which an older version of the harness began a run count as declared before all data: that
    version would have begun another run if they had changed.
    """
    contents: dict[str, tuple[str, str, dict[str, Any]]] = {}
    studies: dict[str, LoadedStudy] = {}
    for part in parts:
        studies[f"{part.scale}/{part.study.study}"] = part
        claims = [(name, claim_content(part, claim)) for name, claim in part.study.claims.items()]
        for name, declared in (*claims, *margin_contents(part).items()):
            contents.setdefault(declared_digest(declared), (part.study.study, name, declared))
    if contents.keys() <= store.declared_claims(contents).keys():
        return
    older = {key for part in studies.values() for key in _claims_of_older_runs(store, part)}
    code = code_digests().judging
    new = [
        DeclaredClaim(digest=key, study=study, claim=name, content=declared, code_digest=code)
        for key, (study, name, declared) in contents.items()
    ]
    store.declare_claims(new, before_all=older)


def _claims_of_older_runs(store: Store, part: LoadedStudy) -> set[str]:
    """The claims of runs that older versions made of the study at this scale."""
    known: set[str] = set()
    for run in store.runs(part.study.study):
        if run.scale == part.scale and not run.study_digest.startswith(DIGEST_PREFIX):
            known.update(_stored_claims(run, part))
    return known


def _stored_claims(run: Run, part: LoadedStudy) -> set[str]:
    try:
        stored = Study.model_validate_json(run.study_json)
    except ValidationError:
        return set()
    before = replace(part, study=stored, arms=arms(stored), conditions=conditions(stored))
    names = {(arm.name, condition.name) for arm in before.arms for condition in before.conditions}
    if names != part.tasks.keys():
        return set()
    margins = {declared_digest(margin) for margin in margin_contents(before).values()}
    return margins | {claim_digest(before, claim) for claim in stored.claims.values()}


@dataclass(frozen=True, kw_only=True)
class DeclaredStudy:
    """A declaration, and whether the store held attempts of the study before it."""

    declaration: Declaration
    with_data: bool
    claims: dict[str, str]


def declare_study(store: Store, parts: Sequence[LoadedStudy]) -> DeclaredStudy:
    """Record a declaration of all that the parts of a study declare, and return it.

    The digest is the SHA-256 of the canonical JSON of the content: sorted keys, no white space, UTF-8. The
    content holds the date and the digests of the code, so anybody who keeps the digest can check later that
    nothing was changed.
    """
    first = parts[0]
    with_data = any(
        row.state != "running"
        for run in store.runs()
        if run.study.partition("/")[0] == first.name and run.scale == first.scale
        for row in store.trials(run, include_superseded=True)
    )
    declared = {"declared_at": now(), **declared_content(parts)}
    digest = hashlib.sha256(canonical_json(declared).encode()).hexdigest()
    declaration = store.record_declaration(
        Declaration(
            study=first.name,
            scale=first.scale,
            digest=digest,
            content=declared,
            declared_at=declared["declared_at"],
        )
    )
    claims = {name: claim_digest(part, claim) for part in parts for name, claim in part.study.claims.items()}
    return DeclaredStudy(declaration=declaration, with_data=with_data, claims=claims)


def declared_content(parts: Sequence[LoadedStudy]) -> dict[str, Any]:
    """All that the parts of a study declare, with the digests of the code, as plain data."""
    code = code_digests()
    return {
        "scale": parts[0].scale,
        "measuring_code": code.measuring,
        "judging_code": code.judging,
        "parts": [
            {
                "study": content(part.study),
                "measured": measured_content(part),
                "claims": {name: claim_digest(part, claim) for name, claim in part.study.claims.items()},
            }
            for part in parts
        ],
    }
