"""Which column of a file is what: the arm, the pair, the step and the metrics (docs/analyse.md)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.errors import InputError, Location, did_you_mean
from harness.imported.options import PAIRED_BY, FileOptions, PairedBy
from harness.imported.table_file import TableFile

ARM_NAMES = ("arm", "group", "variant")
SETTINGS = ("params.", "config.", "tags.")
"""Prefixes of what was set or noted before a trial: never a metric unless an option names it."""

RESULTS = ("metrics.", "summary.")
"""Prefixes of what a trial measured. Where a column has one, only such columns are guessed to be metrics."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns by what they hold. `metric` and `value` are empty unless each row holds one value (the long
    format). `measured` are the columns that may be metrics; `paired_by` says what `pair` holds, and `state`
    whether a trial has finished.
    """

    arm: str
    pair: str
    paired_by: PairedBy
    step: str = ""
    state: str = ""
    metric: str = ""
    value: str = ""
    measured: tuple[str, ...] = ()


def find_columns(table: TableFile, options: FileOptions) -> Columns:
    """Raises InputError if a column is missing, or if several have the name that is looked for."""
    arm = _named(table, options.arm) if options.arm else _guessed_arm(table)
    paired_by, pair = _pair(table, options)
    if arm == pair:
        raise _error(
            table, f"the column {arm!r} cannot be the arm and the {paired_by}", "see --arm and --pair"
        )
    rest = [name for name in table.columns if name not in (arm, pair)]
    lowered = {name.lower(): name for name in reversed(rest)}
    step, state = lowered.get("step", ""), lowered.get("state", "") or lowered.get("status", "")
    if "metric" in lowered and "value" in lowered:
        return Columns(
            arm=arm,
            pair=pair,
            paired_by=paired_by,
            step=step,
            state=state,
            metric=lowered["metric"],
            value=lowered["value"],
        )
    rest = [name for name in rest if name not in (step, state)]
    measured = _measured(rest, options)
    check_named(table, rest, options)
    return Columns(arm=arm, pair=pair, paired_by=paired_by, step=step, state=state, measured=measured)


def is_named(name: str, given: Iterable[str]) -> bool:
    """Whether one of the given names means this metric: `val_loss` may be `metrics.val_loss`."""
    return any(name in (one, *(f"{prefix}{one}" for prefix in RESULTS)) for one in given)


def check_named(table: TableFile, names: Iterable[str], options: FileOptions) -> None:
    """Raises InputError unless the name of each metric in the options means one of these names."""
    known = list(names)
    for given in options.named:
        matches = [name for name in known if is_named(name, (given,))]
        if not matches:
            raise _unknown(table, given, known)
        if len(matches) > 1:
            both = " and ".join(map(repr, matches[:2]))
            raise _error(table, f"{both} could both be the metric {given!r}", "rename one of them")


def _unknown(table: TableFile, name: str, known: Iterable[str]) -> InputError:
    names = list(known)
    hint = did_you_mean(name, names) or f"there are {len(names)} others"
    return _error(table, f"nothing in the file is named {name!r}", hint)


def _pair(table: TableFile, options: FileOptions) -> tuple[PairedBy, str]:
    if options.pair is not None:
        kind, name = options.pair
        return kind, _named(table, name)
    for kind in PAIRED_BY:
        column = _guess(table, kind, "--pair")
        if column:
            return kind, column
    raise _error(
        table,
        "no column is named seed or round, so nothing says which values belong together",
        "name the column with --pair seed COLUMN or --pair round COLUMN",
    )


def _guessed_arm(table: TableFile) -> str:
    for name in ARM_NAMES:
        column = _guess(table, name, "--arm")
        if column:
            return column
    raise _error(
        table, f"no column is named {', '.join(ARM_NAMES)}", "name the column of the arms with --arm COLUMN"
    )


def _guess(table: TableFile, name: str, option: str) -> str:
    """The column of this name, in any case and with any prefix of a setting; empty if there is none."""
    if name in table.columns:
        return name
    matches = [column for column in table.columns if _base(column) == name]
    if len(matches) > 1:
        raise _error(
            table,
            f"{' and '.join(map(repr, matches[:2]))} could both be the {name}",
            f"name one with {option}",
        )
    return matches[0] if matches else ""


def _base(column: str) -> str:
    return next((column[len(p) :] for p in SETTINGS if column.lower().startswith(p)), column).lower()


def _named(table: TableFile, name: str) -> str:
    if name in table.columns:
        return name
    matches = [f"{prefix}{name}" for prefix in SETTINGS if f"{prefix}{name}" in table.columns]
    if len(matches) != 1:
        raise _unknown(table, name, table.columns)
    return matches[0]


def _measured(rest: Sequence[str], options: FileOptions) -> tuple[str, ...]:
    """The columns that options name, and those that are guessed unless `--metric` is given."""
    named = {name for name in rest if is_named(name, options.named)}
    guessed = {
        name
        for name in rest
        if not name.startswith((*SETTINGS, "_")) and _base(name) not in (*ARM_NAMES, *PAIRED_BY)
    }
    results = {name for name in guessed if name.startswith(RESULTS)}
    compared = named if options.metrics else named | (results or guessed)
    return tuple(name for name in rest if name in compared)


def _error(table: TableFile, message: str, hint: str) -> InputError:
    return InputError(message, at=Location(str(table.path), 1), hint=hint)
