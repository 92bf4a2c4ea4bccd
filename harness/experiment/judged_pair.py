"""Two versions of a program, A and B, as a study with one claim: B is better than A."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.config import digest
from harness.errors import InputError
from harness.metrics import METRICS
from harness.programs.command_line import settings_in
from harness.programs.source_tree import ALL_FILES, SourceTree
from harness.programs.versions import Version, version
from harness.study.written import study_text
from harness.tasks.command import SEED

CLAIM, FACTOR, CONTROL = "better", "version", "control"
DEFAULT_SEEDS, DEFAULT_ROUNDS, MOST_ROUNDS, FEWEST = 8, 10, 50, 6

_LONGEST_NAME = 60


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
    """

    a: Version
    b: Version
    question: Question
    commands: tuple[list[str], list[str]]
    name: str

    def study(self, pairs: int | None = None) -> str:
        """The text of the study. With `pairs`, so many seeds or rounds are measured."""
        seeds, rounds = _numbers(self.question, self.commands)
        if pairs is not None:
            seeds, rounds = (pairs, 1) if seeds > 1 else (1, pairs)
        return study_text({"study": self.name, **_document(self, seeds=seeds, rounds=rounds)})

    def pilot(self) -> str:
        """The text of a study of one pair, which shows how long a pair takes."""
        document = _document(self, seeds=1, rounds=1)
        document["design"] = {"exploratory": True}
        return study_text({"study": f"{self.name}_pilot", **document})

    @property
    def arms(self) -> list[dict[str, Any]]:
        """The level of each version: its name, and its settings."""
        return [
            {f"{letter}: {one.named[:_LONGEST_NAME]}": _settings(one, words)}
            for letter, one, words in zip("AB", (self.a, self.b), self.commands, strict=True)
        ]


def judged_pair(a: str, b: str, question: Question, *, folder: Path, here: Path) -> JudgedPair:
    """Build both versions in `folder` and write the study of them. `a` and `b` are folders or revisions of
    the repository of `here`; without a command in the question they are command lines.

    Raises InputError if a version cannot be built, or if the question cannot be answered.
    """
    if question.command is None:
        commands = _words(a, "A"), _words(b, "B")
        first, second = (Version(named=named, folder=here, revision=None, built=False) for named in (a, b))
    else:
        commands = _words(question.command, "--command"), _words(question.command, "--command")
        builds = folder / "builds"
        first, second = (version(named, builds=builds, setup=question.setup, here=here) for named in (a, b))
    trees = [SourceTree.read(one.folder, _patterns(one)).digest for one in (first, second)]
    if commands[0] == commands[1] and trees[0] == trees[1]:
        raise InputError("A and B are the same files with the same command", hint="there is nothing to judge")
    _numbers(question, commands)
    name = f"judge_{digest([trees, commands, asdict(question)])[:8]}"
    return JudgedPair(a=first, b=second, question=question, commands=commands, name=name)


def _document(pair: JudgedPair, *, seeds: int, rounds: int) -> dict[str, Any]:
    question, arms = pair.question, pair.arms
    better, worse = ("higher", "lower") if question.higher else ("lower", "higher")
    name_b, settings_a = next(iter(arms[1])), next(iter(arms[0].values()))
    known = METRICS.get(question.metric)
    if known is not None and known.better != better:
        raise InputError(f"{worse} values of {question.metric} are better", hint=f"use --{known.better}")
    base = dict(settings_a)
    if question.timeout is not None:
        base["timeout"] = question.timeout
    design: dict[str, Any] = {"seeds": seeds, "rounds": rounds}
    if question.until is not None:
        design["until"] = {"width": question.until}
    document: dict[str, Any] = {
        "question": f"Is B better than A: is its {question.metric} {better}?",
        "task": "command",
        "base": base,
        "compare": {FACTOR: arms},
        "design": design,
        "primary": question.metric,
        "claims": {
            CLAIM: {
                "source": "judge",
                "says": f"The {question.metric} of B is {better} than that of A.",
                "level": {FACTOR: name_b},
                "direction": "better",
            }
        },
    }
    if known is None:
        declared: dict[str, Any] = {
            "better": better,
            "compared_by": "difference" if question.difference else "ratio",
            "paired_over": "seeds" if seeds > 1 else "rounds",
        }
        declared |= {"unit": question.unit} if question.unit else {}
        declared |= {"output": dict(question.values)} if question.values else {}
        document["metrics"] = {question.metric: declared}
    if question.margin is not None:
        document["margins"] = {question.metric: question.margin}
        document["margin_reasons"] = {question.metric: "given with the question"}
    if not question.controls:
        return document
    shared = {key: document.pop(key) for key in ("base", "primary", "claims")}
    metrics = {key: document.pop(key) for key in ("metrics", "margins", "margin_reasons") if key in document}
    parts: dict[str, Any] = {"versions": {**shared, **metrics}}
    for name, line in question.controls.items():
        parts[f"{CONTROL}_{name}"] = _control(arms, _words(line, f"--control {name}"), rounds)
    return {**document, "parts": parts}


def _control(arms: list[dict[str, Any]], words: list[str], rounds: int) -> dict[str, Any]:
    """The time of a command in the folders of both versions: it should be the same."""
    compared = [{name: {**settings, "command": words} for name, settings in arm.items()} for arm in arms]
    return {
        "base": dict(next(iter(compared[0].values()))),
        "compare": {FACTOR: compared},
        "design": {"seeds": 1, "rounds": max(rounds, DEFAULT_ROUNDS), "until": None},
        "primary": "command_seconds",
    }


def _numbers(question: Question, commands: Iterable[list[str]]) -> tuple[int, int]:
    """The seeds and the rounds. A metric is paired over seeds if the command takes the seed, unless rounds
    are asked for.
    """
    timed = question.metric in METRICS and METRICS[question.metric].timed
    seeded = all(SEED in settings_in(line) for line in commands)
    if question.seeds is not None and (question.rounds is not None or question.until is not None):
        raise InputError("give either --seeds, or --rounds and --until")
    if question.seeds is not None and timed:
        raise InputError(f"{question.metric} is a time, which every round measures", hint="use --rounds")
    if question.seeds is not None and not seeded:
        raise InputError("the command does not take the seed", hint="write {seed} into it, or use --rounds")
    if question.rounds is None and question.until is None and seeded and not timed:
        return question.seeds or DEFAULT_SEEDS, 1
    return 1, question.rounds or (DEFAULT_ROUNDS if question.until is None else MOST_ROUNDS)


def _settings(one: Version, words: list[str]) -> dict[str, Any]:
    return {"command": words, "folder": str(one.folder), "files": _patterns(one)}


def _patterns(one: Version) -> list[str]:
    return [ALL_FILES] if one.built else []


def _words(line: str, option: str) -> list[str]:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise InputError(f"{option}: {error}", hint="check the quotes of the command") from None
    if not words:
        raise InputError(f"{option}: the command is empty")
    return words
