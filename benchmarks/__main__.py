"""`make bench`: measure, and write the results to benchmarks/results/.

python -m benchmarks --models elasticnet --rows 1 --connections 1,32 --seconds 2 --rounds 3
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import ceiling, deploy_steps, enforcement, large_frame, machine
from benchmarks.batch.compare import BatchFindings, compare
from benchmarks.batch.ours import batch_platform
from benchmarks.deploy_steps import DeploySteps, StepMissing
from benchmarks.figures import AIMED_AT, OURS
from benchmarks.load.generator import LoadFailed, LoadGenerator
from benchmarks.matrix import Matrix, Plan
from benchmarks.models import MODELS, pins, train_and_save
from benchmarks.report.findings import Findings
from benchmarks.report.write import write
from benchmarks.servers import mlflow_serve
from benchmarks.servers.environments import environment
from benchmarks.servers.line_up import SERVERS, line_up
from benchmarks.servers.server import Server, ServerFailed
from benchmarks.stores import moving
from modelyard.client import ClientError
from modelyard.demo.temporary_platform import PlatformFailed, temporary_folder

_ROOT = Path(__file__).parents[1]
_KEPT = _ROOT / ".bench"
_INTERRUPTED = 130
_PARTS = ("matrix", "enforcement", "large-frame", "deploy", "batch", "stores")
_LARGE_FRAME_SERVERS = (OURS, "mlflow")


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = _parse(sys.argv[1:])
    findings = Findings(datetime.now(UTC), machine.facts(), pins(), " ".join(sys.argv[1:]))
    try:
        _measure(options, findings)
    except (ServerFailed, LoadFailed, PlatformFailed, ClientError, StepMissing) as failed:
        # Keep the measurements before the failure.
        findings.cut_short_by = str(failed)
        _say(f"cut short: {failed}")
    except KeyboardInterrupt:
        print("\ninterrupted; all started programs have been stopped", file=sys.stderr)
        return _INTERRUPTED
    folder = write(findings, options.out)
    _say(f"written to {folder}")
    return 0 if findings.is_sound else 1


def _measure(options: argparse.Namespace, findings: Findings) -> None:
    with ExitStack() as running:
        folder = running.enter_context(temporary_folder())
        generator = running.enter_context(LoadGenerator())
        if "enforcement" in options.parts:
            wide = train_and_save("wide", folder / "enforcement-model")
            findings.enforcement = [enforcement.compare(wide, rows) for rows in (1, 100, 1000)]
        if "matrix" in options.parts or "large-frame" in options.parts:
            findings.ceiling = ceiling.ceiling(generator, folder)
            _say(f"the load generator reaches {findings.ceiling[32]['per_second']:.0f} requests/s")
            servers = running.enter_context(line_up(options.servers, _KEPT, folder, os.environ, before=options.before))
            findings.versions = servers.versions
            findings.not_run |= servers.not_installable
            _of_servers(options, findings, servers.servers, generator, folder)
    if "deploy" in options.parts:
        findings.deploy = _of_deploy(options)
    if "batch" in options.parts:
        findings.batch = _of_batch(options)
    if "stores" in options.parts:
        findings.stores = moving.measure(options.store_megabytes, options.store_rounds, _say)


def _of_deploy(options: argparse.Namespace) -> DeploySteps:
    with temporary_folder() as folder:
        model = train_and_save(AIMED_AT, folder / "model")
        packages = {"UV_CACHE_DIR": str(_KEPT / "uv")}
        return deploy_steps.measure(model, folder, {**packages, **os.environ}, options.deploy_rounds, _say)


def _of_batch(options: argparse.Namespace) -> BatchFindings:
    peers = environment(_KEPT / "environments", "mlflow", mlflow_serve.REQUIREMENTS)
    packages = {"UV_CACHE_DIR": str(_KEPT / "uv")}
    with temporary_folder() as folder:
        model = train_and_save(AIMED_AT, folder / "model")
        with batch_platform(model, folder, {**packages, **os.environ}) as platform:
            return compare(
                model, platform, peers, folder, rows=options.batch_rows, rounds=options.batch_rounds, say=_say
            )


def _of_servers(
    options: argparse.Namespace, findings: Findings, servers: list[Server], generator: LoadGenerator, folder: Path
) -> None:
    if "matrix" in options.parts:
        plan = Plan(options.rows, options.connections, options.seconds, options.rounds)
        matrix = Matrix(plan, generator, _say)
        findings.results, findings.footprints, findings.bounds = matrix.results, matrix.footprints, matrix.bounds
        findings.commands = matrix.commands
        for name in options.models:
            model = train_and_save(name, folder / name)
            own = matrix.measure(model, servers, folder)
            findings.own_times[name] = dict(own)
            findings.not_run |= matrix.not_run
    if "large-frame" in options.parts:
        model = train_and_save("elasticnet", folder / "large-frame-model")
        chosen = [server for server in servers if server.name in _LARGE_FRAME_SERVERS]
        findings.large_frames = large_frame.measure(model, chosen, generator, folder)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description=__doc__)
    parser.add_argument("--models", type=_names(MODELS), default=tuple(MODELS))
    parser.add_argument("--servers", type=_names(SERVERS), default=tuple(SERVERS))
    parser.add_argument("--before", metavar="COMMIT", help="also measure the platform as of COMMIT")
    parser.add_argument("--parts", type=_names(_PARTS), default=_PARTS)
    parser.add_argument("--rows", type=_numbers, default=(1, 100, 1000))
    parser.add_argument("--connections", type=_numbers, default=(1, 8, 32))
    parser.add_argument("--seconds", type=float, default=0.6, help="length of each window")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--deploy-rounds", type=int, default=5)
    parser.add_argument("--batch-rows", type=int, default=10_000_000)
    parser.add_argument("--batch-rounds", type=int, default=2)
    parser.add_argument("--store-megabytes", type=int, default=2048)
    parser.add_argument("--store-rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=_ROOT / "benchmarks" / "results")
    return parser.parse_args(arguments)


def _names(known: Collection[str]) -> Callable[[str], tuple[str, ...]]:
    def read(text: str) -> tuple[str, ...]:
        chosen = text.split(",")
        if not set(chosen) <= set(known):
            raise argparse.ArgumentTypeError(f"choose from {', '.join(known)}")
        return tuple(name for name in known if name in chosen)

    return read


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
