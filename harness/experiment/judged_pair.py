"""Two versions of a program, A and B, as a study with one claim: B is better than A."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.config import digest
from harness.errors import InputError
from harness.metrics import METRICS
from harness.programs.command_line import settings_in
from harness.programs.source_tree import SourceTree
from harness.programs.versions import Version, version
from harness.study.written import study_text
from harness.tasks.command import SEED, Command

CLAIM, FACTOR, VERSIONS, CONTROL = "better", "version", "versions", "control"
DEFAULT_SEEDS, DEFAULT_ROUNDS, MOST_ROUNDS, FEWEST = 8, 10, 50, 6

_LONGEST_NAME = 60
METRIC_NAME = re.compile(r"[a-z][a-z0-9_]{0,50}")


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked about A and B: on which metric B should be better, how it is compared, and how much is
    measured. With a `budget` of seconds, as many pairs are measured as fit into it. `controls` are commands,
    by their names, whose time the change cannot touch.
    """

    metric: str
    higher: bool
    command: str | None = None
    setup: str | None = None
    seeds: int | None = None
    rounds: int | None = None
    until: float | None = None
    margin: float | None = None
    difference: bool = False
    unit: str = ""
    values: Mapping[str, Any] | None = None
    timeout: float | None = None
    budget: float | None = None
    controls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class JudgedPair:
    """The two versions, what is asked about them, and the name of the study that compares them. `commands`
    are their command lines.

    All questions about a pair, and about the same pair the other way round, have one name, so that a question
    knows what was judged before. `asked` is a name of this question.
    """

    a: Version
    b: Version
    question: Question
    commands: tuple[list[str], list[str]]
    name: str
    asked: str

    def study(self, pairs: int | None = None) -> str:
        """The text of the study. With `pairs`, so many seeds or rounds are measured."""
        seeds, rounds = _numbers(self.question, self.commands)
        if pairs is not None:
            seeds, rounds = (pairs, 1) if seeds > 1 else (1, pairs)
        return study_text(_document(self, {"seeds": seeds, "rounds": rounds}, over_seeds=seeds > 1))

    def pilot(self) -> str:
        """The text of a study of one pair, which shows how long a pair takes."""
        over_seeds = _numbers(self.question, self.commands)[0] > 1
        return study_text(_document(self, {"exploratory": True}, over_seeds=over_seeds))

    @property
    def arms(self) -> list[dict[str, Any]]:
        """The level of each version: its name, and its settings."""
        return [
            {f"{letter}: {one.named[:_LONGEST_NAME]}": _settings(one, words, self.question)}
            for letter, one, words in zip("AB", (self.a, self.b), self.commands, strict=True)
        ]


def judged_pair(a: str, b: str, question: Question, *, folder: Path, here: Path) -> JudgedPair:
    """Build both versions in `folder` and write the study of them. `a` and `b` are folders or revisions of
    the repository of `here`; without a command in the question they are command lines.

    Raises InputError if a version cannot be built, or if the question cannot be answered.
    """
    if question.command is None:
        commands = _words(a, "A"), _words(b, "B")
        content = SourceTree.read(here).digest
        first, second = (
            Version(named=named, folder=here, revision=None, built=False, content=content) for named in (a, b)
        )
    else:
        commands = _words(question.command, "--command"), _words(question.command, "--command")
        builds = folder / "builds"
        first, second = (version(named, builds=builds, setup=question.setup, here=here) for named in (a, b))
    sides = [[one.content, *words] for one, words in zip((first, second), commands, strict=True)]
    trees = [SourceTree.read(one.folder, one.patterns).digest for one in (first, second)]
    if commands[0] == commands[1] and (sides[0] == sides[1] or trees[0] == trees[1]):
        raise InputError("A and B are the same files with the same command", hint="there is nothing to judge")
    _numbers(question, commands)
    return JudgedPair(
        a=first,
        b=second,
        question=question,
        commands=commands,
        name=f"judge_{digest(sorted(sides))[:12]}",
        asked=digest([sides, asdict(question)])[:8],
    )


def _document(pair: JudgedPair, design: dict[str, Any], *, over_seeds: bool) -> dict[str, Any]:
    question, arms = pair.question, pair.arms
    better, worse = ("higher", "lower") if question.higher else ("lower", "higher")
    name_b, settings_a = next(iter(arms[1])), next(iter(arms[0].values()))
    measured, name = question.metric in Command.metrics, question.metric
    if not METRIC_NAME.fullmatch(name):
        raise InputError(
            f"--metric {name!r} is no name of a metric",
            hint="use lowercase letters, digits and underscores; --values says where another name is printed",
        )
    if question.difference and question.margin is None:
        raise InputError("--difference needs --margin", hint="the largest difference that does not matter")
    if measured and METRICS[name].better != better:
        raise InputError(f"{worse} values of {name} are better", hint=f"use --{METRICS[name].better}")
    output = question.values
    if name in METRICS and not measured:
        name, output = f"program_{name}", output or {"kind": "json-lines", "name": name}
    if question.until is not None and not design.get("exploratory"):
        design = {**design, "until": {"width": question.until}}
    versions: dict[str, Any] = {
        "base": dict(settings_a),
        "compare": {FACTOR: arms},
        "design": design,
        "primary": name,
        "claims": {
            CLAIM: {
                "source": "judge",
                "says": f"The {question.metric} of B is {better} than that of A.",
                "level": {FACTOR: name_b},
                "direction": "better",
            }
        },
    }
    if not measured:
        declared: dict[str, Any] = {
            "better": better,
            "compared_by": "difference" if question.difference else "ratio",
            "paired_over": "seeds" if over_seeds else "rounds",
        }
        declared |= {"unit": question.unit} if question.unit else {}
        declared |= {"output": dict(output)} if output else {}
        versions["metrics"] = {name: declared}
    if question.margin is not None:
        versions["margins"] = {name: question.margin}
        versions["margin_reasons"] = {name: "given with the question"}
    parts = {VERSIONS: versions}
    for control, line in question.controls.items():
        words = _words(line, f"--control {control}")
        parts[f"{CONTROL}_{control}"] = _control(arms, words, pilot="exploratory" in design)
    return {
        "study": pair.name,
        "question": f"Is B better than A: is its {question.metric} {better}?",
        "task": "command",
        "parts": parts,
    }


def _control(arms: list[dict[str, Any]], words: list[str], *, pilot: bool) -> dict[str, Any]:
    """The time of a command in the folders of both versions: it should be the same."""
    compared = [{name: {**settings, "command": words} for name, settings in arm.items()} for arm in arms]
    return {
        "base": dict(next(iter(compared[0].values()))),
        "compare": {FACTOR: compared},
        "design": {"exploratory": True} if pilot else {"rounds": DEFAULT_ROUNDS},
        "primary": "command_seconds",
    }


def _numbers(question: Question, commands: Iterable[list[str]]) -> tuple[int, int]:
    """The seeds and the rounds. A metric is paired over seeds if the command takes the seed, unless rounds
    are asked for.
    """
    timed = question.metric in Command.metrics
    seeded = all(SEED in settings_in(line) for line in commands)
    if question.seeds is not None and (question.rounds is not None or question.until is not None):
        raise InputError("give either --seeds, or --rounds and --until")
    if question.seeds is not None and timed:
        raise InputError(f"{question.metric} is a time, which every round measures", hint="use --rounds")
    if question.seeds is not None and not seeded:
        raise InputError("the command does not take the seed", hint="write {seed} into it, or use --rounds")
    for option, number in (("seeds", question.seeds), ("rounds", question.rounds)):
        if number is not None and number < FEWEST:
            raise InputError(f"--{option} {number} is too few", hint=f"use at least {FEWEST}")
    if question.rounds is None and question.until is None and seeded and not timed:
        return question.seeds or DEFAULT_SEEDS, 1
    return 1, question.rounds or (DEFAULT_ROUNDS if question.until is None else MOST_ROUNDS)


def _settings(one: Version, words: list[str], question: Question) -> dict[str, Any]:
    timeout = {} if question.timeout is None else {"timeout": question.timeout}
    return {"command": words, "folder": str(one.folder), "files": one.patterns, **timeout}


def _words(line: str, option: str) -> list[str]:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise InputError(f"{option}: {error}", hint="check the quotes of the command") from None
    if not words:
        raise InputError(f"{option}: the command is empty")
    return words
