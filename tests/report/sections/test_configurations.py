import json

from harness.report.sections.configurations import Written, configuration, shortest
from tests.report.synthetic import trial_row

MANY = {f"setting {number}": str(number) for number in range(10)}


def written(**changes: str) -> Written:
    return Written(anchor="there", title="that arm", settings=MANY | changes)


def test_settings_in_lists_have_names_with_numbers() -> None:
    spec = {"config": {"model": {"width": 8}, "arms": [{"lr": 0.1}, {"lr": 0.2}], "sizes": [1, 2], "no": {}}}
    assert configuration(trial_row(1, spec_json=json.dumps(spec))) == {
        "model.width": "8",
        "arms.1.lr": "0.1",
        "arms.2.lr": "0.2",
        "sizes": "[1, 2]",
        "no": "{}",
    }


def test_a_trial_without_a_record_of_its_configuration_has_none() -> None:
    assert shortest(configuration(trial_row(1, spec_json="")), [written()]) == (None, [])


def test_the_most_similar_configuration_is_referred_to() -> None:
    other, near = written(a="1", b="2", c="3"), written(cache="none")
    reference, lines = shortest(MANY | {"cache": "static"}, [other, near])
    assert reference == near
    assert lines == ["cache: static"]


def test_settings_that_are_absent_are_named() -> None:
    _, lines = shortest(MANY, [written(cache="none")])
    assert lines == ["without cache"]


def test_a_configuration_that_is_mostly_different_is_written_in_full() -> None:
    reference, lines = shortest(dict.fromkeys(MANY, "x"), [written()])
    assert reference is None
    assert lines == [f"{name}: x" for name in MANY]
