"""Which nodes can run the trials of a driver."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from harness.errors import InputError
from harness.run.backends.ray_node import facts_of_this_machine
from harness.run.backends.ray_nodes import check_facts


def test_a_node_like_this_machine_or_with_more_cores_is_accepted() -> None:
    here = facts_of_this_machine()
    check_facts(here, here)
    check_facts(replace(here, cores=here.cores + 1, host="another", cpu="another"), here)


def test_other_software_and_fewer_cores_are_refused() -> None:
    here = facts_of_this_machine()
    other = replace(here, host="n7", software={**here.software, "torch": "1.0"})
    expected = re.escape(f"torch is 1.0 on the node n7, and {here.software['torch']} on this machine")
    with pytest.raises(InputError, match=expected):
        check_facts(other, here)
    without = replace(here, host="n7", software={"Python": here.software["Python"]})
    with pytest.raises(InputError, match="is not installed on the node n7"):
        check_facts(without, here)
    with pytest.raises(InputError, match="the node n7 has 1 usable cores, and this machine 2"):
        check_facts(replace(here, host="n7", cores=1), replace(here, cores=2))
    with pytest.raises(InputError, match="its digest is 000000000000, here it is"):
        check_facts(replace(here, code="0" * 64), here)
