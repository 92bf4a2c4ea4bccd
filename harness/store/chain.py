"""The chain of a run: one link per attempt that ended, made from what the attempt recorded and from the link
before it.

A link is written in the transaction that ends the attempt, and another one when the attempt is superseded;
links are never changed. Each run has a chain of its own, so that drivers of several runs need not wait for
each other. An accident or an edit by hand breaks the chain. It does not stop somebody
who computes all digests again.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import Connection, Engine, RowMapping, insert, select

from harness.config import digest
from harness.store.content import PartDigests, recorded_content
from harness.store.engine import reading
from harness.store.pieces import ATTEMPTS_AT_ONCE, in_parts
from harness.store.rows import Chain, row_digest
from harness.store.tables import attempts, chain, environments, runs, studies, trials

Event = Literal["earlier", "ended", "superseded"]
"""`earlier` marks an attempt that a version without chains wrote: its content was not recorded."""

_ALLOWED = {
    ("ended",),
    ("earlier", "ended"),  # it was running when the database was upgraded
    ("ended", "superseded"),
    ("earlier", "superseded"),
    ("earlier", "ended", "superseded"),
}
_NAMED = 5
_SHOWN = (
    attempts.c.id.label("attempt_id"),
    attempts.c.state,
    *(trials.c[name] for name in ("task", "arm", "condition", "seed", "round")),
)
"""What is needed of an attempt to judge its links and to name it."""

_LABELS = ("purpose", "task", "arm", "condition", "seed", "round")


def add_links(connection: Connection, run_id: str, event: Event, attempt_ids: Iterable[int]) -> None:
    """Add a link for each attempt, in the order of the ids. No other transaction writes to the run now."""
    chosen = sorted(attempt_ids)
    if not chosen:
        return
    newest = select(chain.c.number, chain.c.digest).where(chain.c.run_id == run_id)
    last = connection.execute(newest.order_by(chain.c.number.desc()).limit(1)).first()
    number, previous = (last.number + 1, last.digest) if last else (0, "")
    for ids in in_parts(chosen, ATTEMPTS_AT_ONCE):
        contents = recorded_content(connection, ids) if event == "ended" else {}
        for attempt_id in ids:
            link = {
                "run_id": run_id,
                "number": number,
                "event": event,
                "attempt_id": attempt_id,
                "content": contents.get(attempt_id, {}),
            }
            previous = link_digest(link, previous)
            connection.execute(insert(chain).values(**link, digest=previous))
            number += 1


def link_digest(link: Mapping[str, Any], previous: str) -> str:
    """The digest of a link after the link with the digest `previous`, which is empty for the first one."""
    fields = {name: link[name] for name in ("run_id", "number", "event", "attempt_id", "content")}
    return digest({**fields, "previous": previous})


def checked_chain(engine: Engine, run_id: str) -> Chain:
    """The chain of a run, compared with what its attempts hold now.

    What ended attempts hold never changes, so it is read in pieces, each in a transaction of its own: writers
    of the database wait for one of them at most.
    """
    query = select(chain).where(chain.c.run_id == run_id).order_by(chain.c.number)
    joined = select(*_SHOWN).join(trials, trials.c.id == attempts.c.trial_id)
    events: dict[int, list[str]] = defaultdict(list)
    contents: dict[int, PartDigests] = {}
    with reading(engine) as connection:
        links = [dict(link) for link in connection.execute(query).mappings()]
        rows = {
            row["attempt_id"]: row
            for row in connection.execute(joined.where(trials.c.run_id == run_id)).mappings()
        }
        about_run = (*_wrong_labels(connection, run_id), *_wrong_shared_rows(connection, run_id))
    for link in links:
        events[link["attempt_id"]].append(link["event"])
        if link["event"] == "ended":
            contents[link["attempt_id"]] = link["content"]
    problems = (
        *_broken_links(links),
        *_wrong_states(events, rows),
        *_wrong_contents(engine, contents, rows),
        *about_run,
    )
    return Chain(
        digests=tuple(link["digest"] for link in links),
        earlier=sum("ended" not in events[attempt_id] for attempt_id in events),
        problems=problems,
    )


def _broken_links(links: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    previous = ""
    for number, link in enumerate(links):
        if link["number"] != number or link_digest(link, previous) != link["digest"]:
            yield f"the chain of digests is broken at link {number} (attempt {link['attempt_id']})"
            return
        previous = link["digest"]


def _wrong_states(events: Mapping[int, Sequence[str]], rows: Mapping[int, RowMapping]) -> Iterator[str]:
    """Attempts that were deleted, added, or brought into another state without a link that says so."""
    deleted = [attempt_id for attempt_id in events if attempt_id not in rows]
    added, changed = [], []
    for attempt_id, row in rows.items():
        happened = tuple(events.get(attempt_id, ()))
        if happened == ("earlier",) or (row["state"] == "running" and not happened):
            continue
        if not happened:
            added.append(attempt_id)
        elif happened not in _ALLOWED or ("superseded" in happened) != (row["state"] == "superseded"):
            changed.append(attempt_id)
    if deleted:
        yield f"attempts were deleted: {_listed(deleted, rows)}"
    if added:
        yield f"attempts have no digest: {_listed(added, rows)}"
    if changed:
        yield f"the state of attempts was changed: {_listed(changed, rows)}"


def _wrong_contents(
    engine: Engine, contents: Mapping[int, PartDigests], rows: Mapping[int, RowMapping]
) -> Iterator[str]:
    """Parts of attempts that are not what they were when the attempts ended."""
    changed: dict[str, list[int]] = defaultdict(list)
    for ids in in_parts((attempt_id for attempt_id in contents if attempt_id in rows), ATTEMPTS_AT_ONCE):
        with reading(engine) as connection:
            now = recorded_content(connection, ids)
        for attempt_id in ids:
            content, present = contents[attempt_id], now.get(attempt_id, {})
            for part in sorted({*content, *present}):
                if content.get(part) != present.get(part):
                    changed[part].append(attempt_id)
    for part, ids in changed.items():
        yield f"the {part} of attempts changed: {_listed(ids, rows)}"


def _wrong_labels(connection: Connection, run_id: str) -> Iterator[str]:
    """Trials whose columns are not those of their specification, also if they have no attempt."""
    query = select(trials).where(trials.c.run_id == run_id).order_by(trials.c.id)
    rows = connection.execute(query, execution_options={"yield_per": ATTEMPTS_AT_ONCE}).mappings()
    wrong = [row["spec_id"] for row in rows if not _labels_agree(row)]
    if wrong:
        yield f"trials are not labelled as their specifications say: {_shortened(wrong)}"


def _labels_agree(row: RowMapping) -> bool:
    try:
        spec = json.loads(row["spec_json"])
        return all(spec[name] == row[name] for name in _LABELS)
    except (ValueError, KeyError, TypeError):
        return False


def _wrong_shared_rows(connection: Connection, run_id: str) -> Iterator[str]:
    """The study and the environment of the run, whose keys are the digests of their content."""
    query = select(studies, environments.c.digest.label("environment"), environments.c.facts)
    query = query.select_from(runs).join(studies, studies.c.digest == runs.c.study_row)
    query = query.join(environments, environments.c.digest == runs.c.environment_row)
    row = connection.execute(query.where(runs.c.id == run_id)).mappings().one()
    if row_digest({name: row[name] for name in ("name", "source", "resolved")}) != row["digest"]:
        yield "the study of the run was changed"
    if row_digest({"facts": row["facts"]}) != row["environment"]:
        yield "the environment of the run was changed"


def _listed(attempt_ids: Sequence[int], rows: Mapping[int, RowMapping]) -> str:
    return _shortened([_named(attempt_id, rows.get(attempt_id)) for attempt_id in attempt_ids])


def _named(attempt_id: int, row: RowMapping | None) -> str:
    if row is None:
        return str(attempt_id)
    condition = (f"{factor}={level}" for factor, level in row["condition"].items())
    words = (row["task"], row["arm"], *condition, f"seed {row['seed']}", f"round {row['round']}")
    return f"{attempt_id} ({' '.join(filter(None, words))})"


def _shortened(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
