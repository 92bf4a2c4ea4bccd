"""What a node of a cluster must be like. No cluster is needed."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.run.backends.node_facts import (
    check_facts,
    check_folders,
    facts_of_this_machine,
    sent_variables,
    set_variables,
)


def test_variables_are_those_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray and the modules of a site set OMP_NUM_THREADS."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    sent = sent_variables()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MKL_CBWR", "AVX")
    set_variables({**sent, "KMP_BLOCKTIME": None})
    names = ("OMP_NUM_THREADS", "MKL_CBWR", "KMP_BLOCKTIME")
    assert [os.environ.get(name) for name in names] == [None, "COMPATIBLE", None]


def test_a_folder_that_is_missing_names_the_node(tmp_path: Path) -> None:
    check_folders([str(tmp_path)], "n7")
    with pytest.raises(InputError, match=r"the node n7 does not have the folder .*/gone; --results"):
        check_folders([str(tmp_path), str(tmp_path / "gone")], "n7")


def test_a_node_like_this_machine_or_with_more_cores_is_accepted() -> None:
    here = facts_of_this_machine()
    check_facts(here, here, here.cores)
    check_facts(replace(here, cores=here.cores + 1, host="another", cpu="another"), here, here.cores)


def test_other_software_and_fewer_cores_than_threads_are_refused() -> None:
    here = facts_of_this_machine()
    other = replace(here, host="n7", software={**here.software, "torch": "1.0"})
    expected = re.escape(f"torch is 1.0 on the node n7, and {here.software['torch']} on this machine")
    with pytest.raises(InputError, match=expected):
        check_facts(other, here, 1)
    without = replace(here, host="n7", software={"Python": here.software["Python"]})
    with pytest.raises(InputError, match="is not installed on the node n7"):
        check_facts(without, here, 1)
    check_facts(replace(here, host="n7", cores=1), here, 1)
    with pytest.raises(InputError, match="a trial needs 2 usable cores, and the node n7 has 1"):
        check_facts(replace(here, host="n7", cores=1), here, 2)
    with pytest.raises(InputError, match="its digest is 000000000000, here it is"):
        check_facts(replace(here, code="0" * 64), here, 1)
