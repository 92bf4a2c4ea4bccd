"""The study that proves what a search found: it compares points with the arm with which the search began."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.metrics import metric
from harness.study.arms import Combination
from harness.study.levels import level_settings
from harness.study.loaded import Study
from harness.study.reading.yaml_document import Located, Override
from harness.study.search import StudySearch
from harness.study.searched import PROOF, search_name
from harness.study.space import Point, Space

FACTOR, BEGIN, BEST = "point", "baseline", "best"
"""The factor of a proof, and its levels. With several objectives the others are `best_1`, `best_2` and so on.
"""

NOT_PROVEN = ("when", "search")
"""Keys of a study that its proof does not have."""


@dataclass(frozen=True, kw_only=True)
class ProofStudy:
    """What a proof takes from the study that was searched: the arm and the condition with which the search
    began, and this arm as a point, if the space contains it.
    """

    study: Study
    search: StudySearch
    space: Space
    arm: Combination
    condition: Combination
    start: Point | None

    def document(self, written: Located, points: Mapping[str, Point]) -> Located:
        """The proof of named points as a document, given that of the study that was searched."""
        study = self.study
        arm: dict[str, Any] = {}
        for factor, index in self.arm.levels.items():
            arm.update(level_settings(factor, study.compare[factor][index]))
        start = self.space.settings(self.start) if self.start is not None else {}
        levels = [{BEGIN: {**arm, **start}}]
        levels += [{name: {**arm, **self.space.settings(point)}} for name, point in points.items()]
        document = written.without(*((key,) for key in NOT_PROVEN))
        if "design" in document.data:
            document = document.without(*(("design", key) for key in ("arms", "exclude", "tune")))
        replacements: dict[str, Any] = {
            "study": search_name(study.study, PROOF),
            "question": "Is what the search found better than the arm with which it began, on seeds that the "
            "search did not use?",
            "compare": {FACTOR: levels},
            "across": {
                factor: [study.across[factor][index]] for factor, index in self.condition.levels.items()
            },
            "primary": self.search.objectives(study.primary)[0],
            "claims": dict(self._claims(points)),
        }
        for key, value in replacements.items():
            at = written.location(("search", *(("prove",) if key == "claims" else ())))
            document = Override((key,), value, at).applied(document)
        return document

    def _claims(self, points: Mapping[str, Point]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The id and the claim of each point and objective."""
        names = self.search.objectives(self.study.primary)
        for point in points:
            which = "the best point of the search" if point == BEST else f"point {point} of the search"
            for name in names:
                words = [PROOF, *([point] if point != BEST else []), *([name] if len(names) > 1 else [])]
                better = "as `prove` demands" if self.search.prove else "better than before"
                claim = {
                    "source": f"the search of {self.study.study}",
                    "says": f"{metric(name).label} of {which} is {better}.",
                    "level": {FACTOR: point},
                    "metric": name,
                    **(self.search.prove or {"direction": "better"}),
                }
                yield "-".join(words), claim
