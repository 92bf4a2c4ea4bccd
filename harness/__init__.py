"""The harness: declared studies in, reports with verdicts out.

import harness
experiment = harness.load("studies/kv_cache.yaml")
experiment.run()
experiment.verdicts()     # one row a claim
experiment.frame()        # one row a raw sample
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.experiment import Experiment, Place, load

__all__ = ["Experiment", "Place", "load"]


def __getattr__(name: str) -> Any:
    """What is offered here is imported when it is asked for: the command line must start at once."""
    if name in __all__:
        import harness.experiment

        return getattr(harness.experiment, name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
