"""The GPUs, and what NVIDIA's management library (NVML) shows of them."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator

from harness.doctor.finding import Finding
from harness.doctor.machine import Machine
from harness.telemetry.nvml import Gpu, NvmlReader
from harness.wording import count, format_bytes, words

_CPU_BUILD = "+cpu"


def check_gpus(_: Machine) -> Iterator[Finding]:
    with NvmlReader() as reader:
        gpus = reader.gpus()
        if reader.reason is not None or not gpus:
            yield Finding(
                subject="GPUs (NVML)",
                state="missing",
                seen=reader.reason or "NVML shows no GPU",
                meaning="trials run on the CPU, and no reading of a GPU is recorded",
                advice="install the GPU's driver, or give the container access to it (docker run --gpus all)",
            )
            return
        for gpu in gpus:
            yield _gpu(reader, gpu)
    build = importlib.metadata.version("torch")
    if build.endswith(_CPU_BUILD):
        yield Finding(
            subject="torch",
            state="limited",
            seen=f"version {build} is built without CUDA",
            meaning="trials cannot use the GPU",
            advice="install a CUDA build of torch",
        )


def _gpu(reader: NvmlReader, gpu: Gpu) -> Finding:
    reading = reader.read(gpu.uuid)
    memory = "" if gpu.memory_bytes is None else f", {format_bytes(gpu.memory_bytes)}"
    seen = f"{gpu.name or 'unnamed'}{memory}, driver {gpu.driver or 'unknown'}"
    others = {**(reading.compute_processes or {}), **(reading.graphics_processes or {})}
    if others:
        seen += f"; {count(len(others), 'other program')} on it"
    if reading.throttling:
        seen += f"; throttled ({', '.join(sorted(reading.throttling))})"
    unreadable = [f"{words(name)} ({why})" for name, why in sorted(reading.reasons.items())]
    if not unreadable and not others and not reading.throttling:
        return Finding(subject=f"GPU {gpu.uuid}", state="ok", seen=seen)
    meanings = [f"not recorded: {'; '.join(unreadable)}"] if unreadable else []
    if others:
        meanings.append("other programs share the GPU with a trial")
    if reading.throttling:
        meanings.append("its clock is lower than it could be")
    return Finding(
        subject=f"GPU {gpu.uuid}",
        state="limited",
        seen=seen,
        meaning="; ".join(meanings),
        advice="end other programs on the GPU; a newer driver may show more",
    )
