"""What `harness plan` tells of a design that leaves something open: how long it may become, what is tuned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.experiment import Place
from harness.experiment.estimate import estimate
from harness.metrics import metric
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import longest_plan, plan
from harness.wording import format_seconds


def open_plan(loaded: LoadedStudy, place: Place) -> dict[str, Any]:
    """The most trials and seconds, where rounds may end early, and the number of trials of tuning, where
    there are some.
    """
    found: dict[str, Any] = {}
    design = loaded.study.design
    if design.until is not None:
        longest = longest_plan(loaded)
        seconds = estimate(longest, loaded.study.study, place).seconds
        found["at_most"] = {"rounds": design.rounds, "trials": len(longest.trials), "seconds": seconds}
    if design.tune is not None:
        found["tuning"] = {
            "trials": len(plan(loaded).tuning),
            "by": design.tune.by,
            "finalists": design.tune.finalists,
        }
    return found


def open_lines(loaded: LoadedStudy, place: Place) -> Iterator[str]:
    """The same for a person."""
    design, told = loaded.study.design, open_plan(loaded, place)
    if design.tune is not None:
        by = f"the best {metric(design.tune.by).label} of {told['tuning']['trials']} trials"
        yield f"tuned first: {', '.join(design.tune.grid)} of each arm, by {by}; shown with each arm's own until then"
        if design.tune.finalists:
            yield f"{design.tune.finalists} of {len(loaded.arms)} arms go on to be measured, the baseline among them"
    if design.until is not None:
        most, width = told["at_most"], f"{design.until.width * 100:g} %"
        yield (
            f"{design.fewest_rounds} to {most['rounds']} rounds, until every 95 % interval is at most {width} wide: "
            f"up to {most['trials']} trials, about {format_seconds(most['seconds'])}"
        )
