"""What each arm sets: every setting in which it differs from the baseline, with both values."""

from __future__ import annotations

from dataclasses import dataclass

from harness.report.inputs import ReportInput
from harness.report.labels import ArmName, arm_name
from harness.study.arm_settings import differences, setting_text
from harness.wording import count


@dataclass(frozen=True, kw_only=True)
class SettingRow:
    arm: ArmName
    setting: str
    baseline: str
    value: str


@dataclass(frozen=True, kw_only=True)
class SettingsView:
    baseline: ArmName
    rows: tuple[SettingRow, ...]


def summary(view: SettingsView) -> str:
    """The number of settings that differ."""
    return f"{count(len(view.rows), 'setting')} in which an arm differs from the baseline"


def settings_view(report: ReportInput) -> SettingsView | None:
    """None if the settings are not known."""
    loaded = report.loaded
    if not loaded.tasks:
        return None
    rows = [
        SettingRow(
            arm=arm_name(loaded, arm.name),
            setting=path,
            baseline=setting_text(base),
            value=setting_text(value),
        )
        for arm in loaded.arms[1:]
        for path, (base, value) in differences(loaded, arm).items()
    ]
    return SettingsView(baseline=arm_name(loaded, loaded.baseline.name), rows=tuple(rows))
