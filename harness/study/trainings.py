"""Whether two arms differ in how their models were trained. Then the trainings are the replicates: sentences
alone would only compare two checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.study.arms import Combination
from harness.tasks.base import Task


def trained_apart(
    tasks: Mapping[tuple[str, str], Task], arms: tuple[Combination, Combination], condition: Combination
) -> bool:
    """Whether the arms load different checkpoints. A model beside the one that both arms load, such as a
    draft, does not count.
    """
    names = ((arm.name, condition.name) for arm in arms)
    first, second = (tasks[name].checkpoints() if name in tasks else frozenset() for name in names)
    return not (first <= second or second <= first)
