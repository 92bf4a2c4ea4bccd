"""One claim, settled on a run whose truth is known: on the speed of caches, or on trainings."""

from __future__ import annotations

from typing import Any

from harness.analysis.results import SettledClaim
from harness.study.loaded import LoadedStudy
from tests.analysis.learned import Learned, training_study
from tests.analysis.planted import Planted, claim, study


def speeds(cache: str, _tokens: int) -> float:
    return {"none": 1.0, "dynamic": 2.0, "static": 2.4}[cache]


DYNAMIC: dict[str, Any] = {"level": {"cache": "dynamic"}}


STATIC: dict[str, Any] = {"level": {"cache": "static"}}


AGAINST: dict[str, Any] = {**STATIC, "against": {"cache": "dynamic"}}


BOTH: dict[str, Any] = {"all_of": [{"cache": "dynamic"}, {"cache": "static"}]}


EITHER: dict[str, Any] = {"any_of": [{"cache": "dynamic"}, {"cache": "static"}]}


def speed_study(**form: Any) -> LoadedStudy:
    return study(claims={"it": {"source": "x", "says": "So.", "at": {"new_tokens": 256}} | form})


def settled_speed(loaded: LoadedStudy, **changes: Any) -> SettledClaim:
    return claim(
        Planted(loaded=loaded, ratio=speeds, noise=0.01).analysis()
        if not changes
        else Planted(loaded=loaded, **changes).analysis(),
        "it",
    )


def training_claim_study(changes: dict[str, Any] | None = None, /, **form: Any) -> LoadedStudy:
    return training_study(
        claims={"it": {"source": "x", "says": "So.", "level": {"optimizer": "lion"}} | form}, **changes or {}
    )


def settled_training(loaded: LoadedStudy, **changes: Any) -> SettledClaim:
    return claim(Learned(loaded=loaded, **changes).analysis(), "it")
