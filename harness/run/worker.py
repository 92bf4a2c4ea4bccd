"""The process that runs trials: `python -P -m harness.run.worker JOB.json` runs one trial.

With `--serve` it is a fork server for many trials. It imports torch once, unless `--without-torch` says that
no trial needs it, and forks a new process for each job, which arrives as one line on its standard input. It
answers with one line for the id of the process and one for its exit status, when all processes of the trial
have ended. The server never uses CUDA and starts no thread pool, because a forked process could use neither.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import signal
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.config import digest
from harness.errors import HarnessError
from harness.invariants.base import Check, Invariant
from harness.invariants.registry import find_invariant
from harness.machine.code_digest import plugins_digest
from harness.machine.visible_gpus import VISIBLE_GPUS, gpus_for
from harness.metrics import METRICS, derived_metrics, metric
from harness.plugins import load_plugins
from harness.run.job import Job
from harness.run.processes import adopt_orphans, begin_group, end_children, signal_at_death_of, signal_group
from harness.run.ranks import RankError, in_ranks
from harness.tasks.base import Context, Result, SampleRecorder
from harness.trial.causes import FULL_DISK_STATUS, Cause, cause_of_error
from harness.trial.outcome import NOT_TIMED, TIMED, EventWriter

WITHOUT_TORCH = "--without-torch"
"""The option of a fork server whose trials use no torch."""


def run_job(job: Job) -> None:
    """Run a trial and write its events. An error in the trial is written as an event and never raised."""
    with Path(job.events).open("w", encoding="utf-8") as stream:
        writer = EventWriter(stream)
        writer.started(job.spec.id, os.getpid())
        started = time.perf_counter()
        try:
            _check_plugins(job)
            with _planted(job.plant):
                machine, result = _result(job, writer)
        except RankError as error:
            writer.failed(str(error), error.trace, error.cause)
            return
        except Exception as error:  # noqa: BLE001  every failure of a trial is recorded
            message = str(error) if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
            writer.failed(message, traceback.format_exc(), cause_of_error(error))
            return
        notes = {**result.notes, **machine, "work_seconds": time.perf_counter() - started}
        if job.side_by_side:
            notes = {**result.notes, **machine, NOT_TIMED: "other trials ran at the same time"}
        elif result.timed is not None:
            notes[TIMED] = {**asdict(result.timed.span), "tokens": result.timed.tokens}
        if result.sentences is not None:
            writer.sentences(result.sentences)
        spent = {**result.spent, "threads": job.threads} if result.spent else {}
        writer.finished(outputs=result.outputs, spent=spent, notes=notes)


def _check_plugins(job: Job) -> None:
    """Raises HarnessError if the plug-ins of this process are not those of the driver."""
    if job.plugins != plugins_digest():
        raise HarnessError(
            "the plug-ins of this worker are not those of the driver",
            hint="run again; `harness plugins` lists the plug-ins that there are",
        )


def _result(job: Job, writer: EventWriter) -> tuple[dict[str, Any], Result]:
    """The settings of the machine, and the result of the trial."""
    if job.spec.purpose == "check":
        return _prepare(job), _check(job, writer)
    ranks = job.task.read(job.spec.config).ranks
    if ranks == 1:
        return _prepare(job), _run(job, writer)

    def run_rank(rank: int) -> tuple[dict[str, Any], Result]:
        mine = job.model_copy(update={"threads": max(1, job.threads // ranks), "rank": rank})
        return _prepare(mine), _run(mine, writer if rank == 0 else _Unwritten())

    gpus = () if job.gpu is None else gpus_for(job.gpu, ranks)
    machine, result = in_ranks(ranks, run_rank, Path(job.folder) / "ranks", gpus=gpus)
    return {**machine, "ranks": ranks}, result


class _Unwritten(EventWriter):
    """The samples of a rank that are not recorded, because those of rank 0 are."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())

    def sample(self, metric: str, value: float, step: int = 0) -> None:
        pass


def _run(job: Job, writer: EventWriter) -> Result:
    samples: dict[str, list[float]] = defaultdict(list)

    def record(name: str, value: float, step: int = 0, /) -> None:
        samples[name].append(value)
        write(name, value, step)

    write = _without_times(writer.sample) if job.side_by_side else writer.sample
    derived = derived_metrics(job.task.metrics)
    result = job.task.read(job.spec.config).run(_context(job), record if derived else write)
    for record_of in derived:
        if all(samples[name] for name in record_of.computed_from):
            values = (metric(name).of_trial(samples[name]) for name in record_of.computed_from)
            write(record_of.name, record_of.compute(*values))
    return result


def _without_times(write: SampleRecorder) -> SampleRecorder:
    """Write no sample of a metric that is measured with a clock."""
    timed = {name for name, record in METRICS.items() if record.timed}

    def write_untimed(name: str, value: float, step: int = 0, /) -> None:
        if name not in timed:
            write(name, value, step)

    return write_untimed


def _check(job: Job, writer: EventWriter) -> Result:
    """Check the invariant on tiny models, once per level, and on the study's subject under each condition.

    The result notes the number of checks, so that a check that is lost later does not go unnoticed.
    """
    invariant = find_invariant(job.spec.task)
    levels, made = set(), 0
    for config in job.spec.config["configs"]:
        subject = job.task.read(config).subject(_context(job))
        level = invariant.level_of(subject)
        if level not in levels:
            levels.add(level)
            made += _write(tiny_checks(invariant, level, job), writer)
        made += _write(invariant.check_subject(subject), writer)
    return Result(notes={"checks": made})


def tiny_checks(invariant: Invariant[Any], level: str, job: Job) -> Iterator[Check]:
    """The checks of tiny models of a level: those that an earlier trial saved in the job's shared folder, or
    new ones. They do not depend on a study.

    Checks are saved when all of them are complete, whether they passed or not.
    """
    file = _shared_file(invariant, level, job)
    if file is None:
        yield from invariant.check(level)
        return
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            yield Check(**json.loads(line))
        return
    made = []
    for check in invariant.check(level):
        made.append(check)
        yield check
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    unfinished.write_text("".join(f"{json.dumps(asdict(check))}\n" for check in made), encoding="utf-8")
    unfinished.replace(file)


def _shared_file(invariant: Invariant[Any], level: str, job: Job) -> Path | None:
    """The file for checks under equal conditions: same bug, device, threads and matrix-product library."""
    if not job.shared:
        return None
    alike = [invariant.name, level, job.plant, job.gpu, job.threads, job.task.products]
    return Path(job.shared) / f"{digest({'alike': alike})}.checks"


def _write(checks: Iterable[Check], writer: EventWriter) -> int:
    """The number of checks that were written."""
    made = 0
    for check in checks:
        writer.check(check)
        made += 1
    return made


def _context(job: Job) -> Context:
    return Context(
        seed=job.spec.generator,
        device=job.device,
        checkpoints=job.checkpoints,
        threads=job.threads,
        folder=Path(job.folder),
        sources=Path(job.sources),
    )


def _prepare(job: Job) -> dict[str, Any]:
    """Apply the settings of the machine, which are equal for all trials of a task, and return them."""
    if job.gpu is not None and job.rank is None:
        os.environ[VISIBLE_GPUS] = job.gpu
    if not job.task.needs_torch:
        return {"threads": job.threads, "device": job.device}
    import torch

    from harness.machine.matmul import choose_matmul_route

    if job.gpu is not None and not torch.cuda.is_available():
        raise HarnessError(
            "the installed version of torch cannot use the GPU",
            hint="install a CUDA build of torch, or run with --device cpu",
        )
    torch.set_num_threads(job.threads)
    if job.task.products == "small":  # oneDNN takes longer to accept such a product than to compute it
        return {"threads": job.threads, "device": job.device}
    return {"threads": job.threads, "device": job.device, "matmul": asdict(choose_matmul_route())}


@contextlib.contextmanager
def _planted(plant: str | None) -> Iterator[None]:
    if plant is None:
        yield
        return
    invariant, _, name = plant.partition("/")
    with find_invariant(invariant).planted_bug(name).plant():
        yield


def serve(*, with_torch: bool) -> None:
    """Fork a process for every job until the standard input ends, as it does when the driver has ended.

    A trial has a group of its own. All its processes end with it, also those that left the group, and also
    if the driver is killed.
    """
    signal.signal(signal.SIGTERM, _end_server)
    signal_at_death_of(os.getppid(), signal.SIGTERM)
    adopt_orphans()
    if with_torch:
        import safetensors.torch  # noqa: F401  imported once here and shared by every fork
        import torch  # noqa: F401

        import harness.models.decoding.greedy
        import harness.models.transformer  # noqa: F401

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    print(json.dumps({"ready": os.getpid()}), file=answers)
    server = os.getpid()
    for line in sys.stdin:
        _import_for(line)
        pid = os.fork()
        if not pid:
            _begin_trial(server)
            os._exit(_exit_status(line))
        begin_group(pid)
        print(json.dumps({"pid": pid}), file=answers)
        _, status = os.waitpid(pid, 0)
        signal_group(pid, signal.SIGKILL)
        end_children()
        print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), file=answers)


def _end_server(*_: object) -> None:
    """The driver has ended or wants this server to end: no process of a trial stays."""
    end_children()
    os._exit(128 + signal.SIGTERM)


def _begin_trial(server: int) -> None:
    """What a new process does first."""
    begin_group(0)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal_at_death_of(server, signal.SIGKILL)
    with contextlib.suppress(OSError):  # if memory runs out, Linux shall end the trial and not its driver
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    os.close(0)


def _import_for(line: str) -> None:
    """Import in the server what the job needs and what every trial of its task needs.

    All trials then share the memory of these modules and the time that their import takes.
    """
    with contextlib.suppress(Exception):  # the process that runs the job reports what is wrong with it
        load_plugins()
        job = Job.read(json.loads(line))
        checks = job.spec.purpose == "check"
        modules = job.task.imports if checks else job.task.read(job.spec.config).modules
        for module in modules:
            importlib.import_module(module)


def _exit_status(line: str) -> int:
    try:
        job = Job.read(json.loads(line))
        if job.log is not None:
            _print_into(Path(job.log))
        run_job(job)
    except BaseException as error:  # noqa: BLE001  this process ends here and must say why
        with contextlib.suppress(OSError):
            traceback.print_exc()
        return FULL_DISK_STATUS if cause_of_error(error) is Cause.FULL_DISK else 70
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
    return 0


def _print_into(log: Path) -> None:
    """From now on, everything that this process and its children print goes to the file."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for output in (1, 2):
        os.dup2(descriptor, output)
    os.close(descriptor)


def main(arguments: list[str]) -> None:
    if arguments[0] == "--serve":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        serve(with_torch=WITHOUT_TORCH not in arguments)
    else:
        run_job(Job.read(json.loads(Path(arguments[0]).read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main(sys.argv[1:])
