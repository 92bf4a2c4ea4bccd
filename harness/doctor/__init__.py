"""What this machine can and cannot measure, what disturbs it, and what to do: one file per kind of finding.

`examine` makes all findings. It changes nothing, takes no lock, and raises no error because of the machine.
"""

from harness.doctor.examine import examine
from harness.doctor.finding import Finding, State
from harness.doctor.machine import Machine

__all__ = ["Finding", "Machine", "State", "examine"]
