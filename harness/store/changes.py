"""What was changed in a run after it was written."""

from __future__ import annotations

from harness.machine.code_digest import code_digests
from harness.store.read import Reader
from harness.store.rows import Chain, Run
from harness.wording import count


def changes(store: Reader, run: Run, chain: Chain) -> tuple[list[str], list[str]]:
    """What the chain of a run and the ids of its trials show to be changed, and what cannot be said."""
    problems, notes = [f"run {run.id}: {problem}" for problem in chain.problems], []
    if chain.earlier:
        notes.append(
            f"run {run.id}: an earlier version of the harness, which recorded no digests, wrote "
            f"{count(chain.earlier, 'attempt')}; a change of their data is not noticed"
        )
    wrong = store.wrong_ids(run)
    if wrong and run.code_digest == code_digests().measuring:
        problems.append(
            f"run {run.id}: the ids of {count(len(wrong), 'trial')} do not follow from their "
            f"specifications ({wrong[0]})"
        )
    elif wrong:
        notes.append(
            f"run {run.id}: other code gave {count(len(wrong), 'trial')} their ids, which could not be "
            "computed again"
        )
    return problems, notes
