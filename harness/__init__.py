"""The harness: declared studies in, reports with verdicts out.

import harness
experiment = harness.load("studies/kv_cache.yaml")
experiment.run()
experiment.verdicts()     # one row per claim
experiment.contrasts()    # one row per metric, arm and condition
experiment.plot()         # the figures of the report
experiment.frame()        # one row per raw sample
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.experiment import Experiment, Workspace, load, use_plugins

__all__ = ["Experiment", "Workspace", "load", "use_plugins"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that the command line starts fast."""
    if name in __all__:
        import harness.experiment

        return getattr(harness.experiment, name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
