"""`python -m tests.benchmarks.peers.compare`: ours and its peers take turns; ratios with intervals go to
results/peers.json.

A turn is one contestant's few units of the same work in a new process, its value their median. In every round
each contestant has one turn, in an order that is drawn anew; ratios are paired within rounds
(harness.statistics). Ends with exit code 1 unless every target of the cases that ran is met by the whole
interval, with the same tokens.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from harness.machine.environment import usable_cores
from harness.run.backends.fork_server import WORKER_VARIABLES
from harness.statistics import log_ratios, paired_estimate
from tests.benchmarks.peers.cases import CASES, Case, Peer, Tuning
from tests.benchmarks.peers.limits import utilisation

RESULTS = Path("results/peers.json")
NAMES = tuple(case.name for case in CASES)
OURS = Peer(name="ours", tuning="tuned")
# Seconds after which threads that wait for more work have stopped to spin: OpenMP lets them for 0.2.
ASLEEP = 0.3
Verdict = Literal["met", "undecided", "missed", "other tokens"]


class Arena:
    """A process for each contestant, so that nobody's threads stand in another's way: two OpenMP libraries in
    one process share its cores badly, and CTranslate2 beside torch decodes at a tenth of its speed."""

    def __init__(self, *, threads: int) -> None:
        self._threads = threads
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def turn(self, case: Case, contestant: Peer, *, units: int) -> tuple[float, str]:
        """Tokens per second, and what came out."""
        order = {"case": case.name, "contestant": contestant.name, "units": units}
        answer = self._ask(contestant, order)
        return case.tokens_per_unit / statistics.median(answer["seconds"]), answer["output"]

    def limits(self) -> dict[str, float]:
        """The machine's ceilings as they are now, see `measured_limits`."""
        limits: dict[str, float] = self._ask(OURS, {"limits": True})
        return limits

    def _ask(self, contestant: Peer, order: dict[str, Any]) -> Any:
        process = self._processes.get(contestant.label)
        if process is None:
            process = self._processes[contestant.label] = self._start(contestant)
        time.sleep(ASLEEP)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{contestant.label} ended over {order}; its last words are above")
        return json.loads(line)

    def _start(self, contestant: Peer) -> subprocess.Popen[str]:
        plain = {name: value for name, value in os.environ.items() if name not in WORKER_VARIABLES}
        settings: dict[Tuning, dict[str, str]] = {"stock": plain, "tuned": {**plain, **WORKER_VARIABLES}}
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.benchmarks.peers.contestant",
                str(self._threads),
                contestant.tuning,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={
                **settings[contestant.tuning],
                "TOKENIZERS_PARALLELISM": "false",
                "TRANSFORMERS_VERBOSITY": "error",
            },
        )

    def close(self) -> None:
        for process in self._processes.values():
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


def compare(case: Case, arena: Arena, *, rounds: int, units: int) -> list[dict[str, Any]]:
    """One record a peer. Who decodes has our weights: whether the tokens are ours, too, is recorded."""
    contestants = [OURS, *case.peers]
    order = random.Random(case.name)
    speeds: dict[str, dict[int, float]] = {contestant.label: {} for contestant in contestants}
    outputs: dict[str, str] = {}
    if case.compiled:  # not counted: what is compiled is kept in a cache for later processes
        for contestant in contestants:
            arena.turn(case, contestant, units=1)
    for number in range(rounds):
        for contestant in order.sample(contestants, len(contestants)):
            speed, output = arena.turn(case, contestant, units=units)
            speeds[contestant.label][number], outputs[contestant.label] = speed, output
    records = [_record(case, peer, speeds) for peer in case.peers]
    limits = arena.limits()
    for record in records:
        record.update(utilisation(case, record["tokens_per_second"], limits))
    if case.task in ("decode", "beam"):
        for record in records:
            record["same_tokens"] = outputs[record["peer"]] == outputs[OURS.label]
    return records


def _record(case: Case, peer: Peer, speeds: dict[str, dict[int, float]]) -> dict[str, Any]:
    mine, theirs = speeds[OURS.label], speeds[peer.label]
    estimate = paired_estimate(log_ratios(mine, theirs))
    return {
        "case": case.name,
        "peer": peer.label,
        "ratio": math.exp(estimate.estimate),
        "low": math.exp(estimate.ci95.low),
        "high": math.exp(estimate.ci95.high),
        "target": peer.target,
        "tokens_per_second": statistics.median(mine.values()),
        "peer_tokens_per_second": statistics.median(theirs.values()),
        "rounds": len(mine),
    }


def main() -> None:
    options = _options()
    chosen = [case for case in CASES if any(is_meant(case.name, text) for text in options.only)]
    if not chosen:
        sys.exit(f"no case has {options.only} in its name; known: " + ", ".join(NAMES))
    rounds, units = (8, 3) if options.quick else (12, 5)
    rounds = options.rounds or rounds
    origin = {"commit": _commit(), "measured": datetime.now(UTC).isoformat(timespec="seconds")}
    verdicts: list[Verdict | None] = []
    arena = Arena(threads=options.threads)
    try:
        for case in chosen:
            records = [{**record, **origin} for record in compare(case, arena, rounds=rounds, units=units)]
            _store(options.results, case, records)
            for record in records:
                print(_line(record), flush=True)  # noqa: T201
            verdicts += [verdict(record) for record in records]
    finally:
        arena.close()
    unmet = [outcome for outcome in verdicts if outcome not in (None, "met")]
    if unmet:
        counts = ", ".join(f"{unmet.count(outcome)} {outcome}" for outcome in dict.fromkeys(unmet))
        sys.exit(f"not every target is met: {counts}")


def is_meant(name: str, text: str) -> bool:
    """Whether a case is asked for: by its name, or by a part of it that is no other's name."""
    return text == name or (text in name and text not in NAMES)


def verdict(record: dict[str, Any]) -> Verdict | None:
    """What the interval says of the target; None without one."""
    if not record.get("same_tokens", True):
        return "other tokens"
    if record["target"] is None:
        return None
    if record["low"] >= record["target"]:
        return "met"
    return "missed" if record["high"] < record["target"] else "undecided"


def _commit() -> str:
    """Of the code that ran; with a plus where files were changed since."""
    described = subprocess.run(
        ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="8 rounds of three units instead of 12 of five")
    parser.add_argument(
        "--only",
        action="append",
        help="the case of this name, or all that have it in theirs; may be given again",
    )
    parser.add_argument("--rounds", type=int, help="so many instead; six are the least that give an interval")
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--results", type=Path, default=RESULTS, help="cases in it that are not run stay")
    options = parser.parse_args()
    options.only = options.only or [""]
    return options


def _line(record: dict[str, Any]) -> str:
    target = "" if record["target"] is None else f"  target {record['target']:.1f}"
    outcome = verdict(record)
    judged = "" if outcome is None else f"  {outcome}"
    used = "".join(f"  {name} {record[name]:.0%}" for name in ("mfu", "mbu") if name in record)
    return (
        f"{record['case']:28} {record['peer']:30} {record['ratio']:5.2f} "
        f"[{record['low']:.2f}, {record['high']:.2f}]  {record['tokens_per_second']:7.0f} against "
        f"{record['peer_tokens_per_second']:7.0f} tokens/s{used}{target}{judged}"
    )


def _store(path: Path, case: Case, records: list[dict[str, Any]]) -> None:
    """Replace the case's records in the file, in the order of `CASES`."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    by_case = {name: [record for record in known if record["case"] == name] for name in NAMES}
    by_case[case.name] = records
    _write(path, [record for records in by_case.values() for record in records])


def _write(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".part")
    with fresh.open("w", encoding="utf-8") as stream:
        json.dump(records, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)


if __name__ == "__main__":
    main()
