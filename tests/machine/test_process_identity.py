"""Which process it is, by what no clock can change."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

from harness.machine.process_identity import ProcessIdentity, _started


def test_a_process_runs_until_it_has_ended() -> None:
    """Also if nobody has waited for it yet."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        other = replace(ProcessIdentity.of_this_process(), pid=process.pid, started=_started(process.pid))
        assert not other.has_ended
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert other.has_ended
    assert other.has_ended


def test_a_process_of_another_machine_or_boot_is_not_known_to_have_ended() -> None:
    me = ProcessIdentity.of_this_process()
    assert not me.has_ended
    assert not me.is_of_an_earlier_boot
    earlier = replace(me, machine="another pid:[1]", started=1)
    assert not earlier.has_ended
    assert earlier.is_of_an_earlier_boot
    assert not replace(earlier, host="node7").is_of_an_earlier_boot
    assert not replace(earlier, machine="").is_of_an_earlier_boot
