"""Write the findings as Markdown."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from textwrap import indent

from benchmarks.deploy_steps import STEPS, DeploySteps
from benchmarks.figures import OURS, REFERENCE, Aim, Cell, Results, is_ours
from benchmarks.models import DESCRIPTIONS
from benchmarks.report.findings import Findings
from benchmarks.report.numbers import number
from benchmarks.servers.line_up import lacks

_COLUMNS = ("rows", "connections", "server", "requests/s", "p50 ms", "p99 ms", "CPU s per 1,000", "requests/s ratio")

_COMPARED: Mapping[str, str] = {"per_second": "requests/s", "p50_ms": "p50", "p99_ms": "p99"}
_FIRST_COLUMNS: list[str] = ["rows", "connections"]
_BEFORE_COLUMNS: list[str] = ["model", "rows", "connections"]
for _name in _COMPARED.values():
    _FIRST_COLUMNS += [f"best {_name}", "ahead of the second", "modelyard to the best peer"]
    _BEFORE_COLUMNS += [f"{_name} before", "after"]
_BEFORE_COLUMNS += ["requests/s ratio"]


def page(findings: Findings) -> str:
    parts = [
        f"# Measured on {findings.begun_at:%d %B %Y, %H:%M} UTC",
        "Medians of the rounds. Ratios are to azureml-inference-server-http. The method: "
        "[benchmarks/README.md](../../README.md).",
        aims_table(findings.aims),
        *_who_is_first(findings.results),
        *_before_and_after(findings.results),
        *_servers(findings),
        *_matrix(findings.results),
        *_bounds(findings),
        *_of_the_gateway(findings),
        *_enforcement(findings),
        *_large_frames(findings),
        *_footprints(findings),
        *_deploy(findings.deploy),
        *_batch(findings),
        *_stores(findings),
        *_trouble(findings),
        _circumstances(findings),
    ]
    return "\n\n".join(parts) + "\n"


def aims_table(aims: Iterable[Aim]) -> str:
    verdicts = {True: "met", False: "**not met**", None: "not measured"}
    rows = ((one.sentence, one.wanted, _seen(one), verdicts[one.is_met]) for one in aims)
    return _table(("aim", "wanted", "seen", ""), rows)


def _seen(one: Aim) -> str:
    return f"{one.seen:,.0f}" if float(one.seen).is_integer() else number(one.seen)


def _who_is_first(results: Results) -> Iterator[str]:
    if not results.peers:
        return
    yield "## Who is first"
    yield (
        "For every cell the server with the best figure, and how many times better the figure is than the second. "
        "*Modelyard to the best peer* is over 1 where Modelyard is ahead of all peers, below 1 where a peer is ahead."
    )
    for model in dict.fromkeys(cell.model for cell in results.cells):
        yield f"### {DESCRIPTIONS[model]}"
        cells = [cell for cell in results.cells if cell.model == model]
        yield _table(_FIRST_COLUMNS, (_first_line(results, cell) for cell in cells))


def _first_line(results: Results, cell: Cell) -> tuple[str, ...]:
    line = [f"{cell.rows:,}", str(cell.connections)]
    for figure in _COMPARED:
        standing = results.standing(cell, figure)
        if standing is None:
            line += ["–", "–", "–"]
            continue
        first = f"**{standing.first}**" if standing.first == OURS else standing.first
        line += [first, f"{number(standing.lead)} × {standing.second or '–'}"]
        line += [f"{number(standing.ours)} × {standing.best_peer}" if standing.best_peer else "–"]
    return tuple(line)


def _before_and_after(results: Results) -> Iterator[str]:
    """Compare with the platform as of the commit of --before."""
    for earlier in (server for server in results.servers if is_ours(server) and server != OURS):
        yield f"## {earlier} and the code of this run"
        rows = (
            (
                cell.model,
                f"{cell.rows:,}",
                str(cell.connections),
                *(number(results.figure(cell, server, name)) for name in _COMPARED for server in (earlier, OURS)),
                number(results.ahead(cell, "per_second", OURS, earlier)),
            )
            for cell in results.cells
        )
        yield _table(_BEFORE_COLUMNS, rows)


def _servers(findings: Findings) -> Iterator[str]:
    if findings.results.servers or findings.not_run:
        yield "## The servers"
        rows = (
            (name, lacks(name), f"`{findings.commands[name]}`" if name in findings.commands else "–")
            for name in findings.results.servers
        )
        yield _table(("server", "what the server does not do", "command"), rows)
    if findings.not_run:
        yield "Not run, with the reason:"
        yield "\n\n".join(
            f"- {name}:\n\n  ```\n{indent(reason, '  ')}\n  ```" for name, reason in findings.not_run.items()
        )


def _bounds(findings: Findings) -> Iterator[str]:
    if findings.bounds:
        yield "## The bound: `orjson.loads` and `predict` in process"
        yield (
            "One connection; milliseconds. The bound has no HTTP, no checks and no answer in JSON, and an array goes "
            "straight into `predict` (a DataFrame for the text pipeline)."
        )
        rows = (
            (
                one.model,
                f"{one.rows:,}",
                number(one.milliseconds),
                number(findings.results.figure(Cell(one.model, one.rows, 1), OURS, "p50_ms")),
                number(findings.bound_ratio(one.model, one.rows)),
            )
            for one in findings.bounds
            if one.rounds
        )
        yield _table(("model", "rows", "bound", "modelyard p50", "ratio"), rows)


def _matrix(results: Results) -> Iterator[str]:
    models = dict.fromkeys(cell.model for cell in results.cells)
    for model in models:
        yield f"## {DESCRIPTIONS[model]}"
        cells = (cell for cell in results.cells if cell.model == model)
        yield _table(_COLUMNS, (_line(results, cell, server) for cell in cells for server in results.servers))


def _line(results: Results, cell: Cell, server: str) -> tuple[str, ...]:
    figures = (results.figure(cell, server, name) for name in ("per_second", "p50_ms", "p99_ms", "cpu_per_1000"))
    shown = f"**{server}**" if server == OURS else server
    ratio = "1" if server == REFERENCE else number(results.ratio(cell, "per_second", server))
    return (f"{cell.rows:,}", str(cell.connections), shown, *map(number, figures), ratio)


def _of_the_gateway(findings: Findings) -> Iterator[str]:
    measured = {name: times for name, times in findings.own_times.items() if times}
    if not measured:
        return
    yield "## What the gateway adds to the model's own time"
    yield "One connection, one row; medians, in milliseconds. The model's time is what the model worker measured."
    columns = ("model_ms", "whole_ms", "added_ms")
    rows = ((name, *(number(times[column]) for column in columns)) for name, times in measured.items())
    yield _table(("model", "the model itself", "whole request", "added"), rows)
    yield "CPU time of a request of one row, in microseconds; the worker's includes the model."
    parts = tuple(f"{part}_us_{connections}" for connections in (1, 32) for part in ("gateway", "worker"))
    rows = ((name, *(number(times.get(part, math.nan)) for part in parts)) for name, times in measured.items())
    yield _table(("model", "gateway, 1 connection", "worker", "gateway, 32 connections", "worker"), rows)


def _enforcement(findings: Findings) -> Iterator[str]:
    if findings.enforcement:
        yield "## Parse and enforce, in one process"
        rows = (
            (
                str(one.columns),
                f"{one.rows:,}",
                number(one.ours_ms),
                number(one.mlflow_ms),
                number(one.ratio),
                "equal" if one.is_equal else "**different**",
            )
            for one in findings.enforcement
        )
        yield _table(("columns", "rows", "Modelyard ms", "MLflow ms", "MLflow ÷ Modelyard", "the frames are"), rows)


def _large_frames(findings: Findings) -> Iterator[str]:
    if findings.large_frames:
        yield "## One large request"
        rows = (
            (
                one.server,
                f"{one.rows:,}",
                number(one.megabytes),
                number(one.median_seconds),
                number(one.memory_before),
                number(one.memory_peak),
            )
            for one in findings.large_frames
        )
        names = ("server", "rows", "request MB", "seconds", "resident MB before", "at most")
        yield _table(names, rows)


def _footprints(findings: Findings) -> Iterator[str]:
    if findings.footprints:
        yield "## Memory and idle CPU"
        yield (
            "After the load; megabytes. The proportional size (PSS) divides shared pages among processes. "
            "Modelyard's *management* (control plane, builders, host, database, broker) runs once for "
            "all models."
        )
        rows = (
            (
                one.model,
                one.server,
                one.part,
                str(one.processes),
                number(one.memory.resident),
                number(one.memory.proportional),
                f"{100 * one.idle_cpu_share:.1f} %",
            )
            for one in findings.footprints
        )
        yield _table(("model", "server", "part", "processes", "RSS", "PSS", "idle CPU of a core"), rows)


def _deploy(found: DeploySteps) -> Iterator[str]:
    if not found.whole:
        return
    yield "## A deployment of a known environment, from the PUT to the first answer"
    yield (
        f"Medians of {len(found.whole)} deployments, seconds. Not the model's own import and load: "
        f"{number(found.ours)} s. A program of the same environment, without the platform, imports MLflow and loads "
        f"the model in {number(median(found.without_platform))} s."
    )
    rows = [(name, number(median(found.steps[name])), work) for name, work in STEPS.items()]
    yield _table(("step", "seconds", "what happens"), [*rows, ("all", number(median(found.whole)), "")])


def _batch(findings: Findings) -> Iterator[str]:
    if findings.batch.results:
        yield "## Batch: folders of CSV to predictions"
        yield (
            "ElasticNet, 10 double columns. Seconds from the start of a program, or from the call that begins a job, "
            "to its end; megabytes of the largest process. `mlflow models predict` supports "
            "a single file only."
        )
        rows = (
            (
                one.layout,
                one.program,
                f"{one.rounds[0].rows:,}",
                number(one.seconds),
                number(one.per_second),
                number(one.megabytes),
            )
            for one in findings.batch.results
        )
        yield _table(("input", "program", "rows", "seconds", "rows/s", "MB"), rows)
        yield "\n".join(f"- {wrong}" for wrong in findings.batch.wrong)


def _stores(findings: Findings) -> Iterator[str]:
    if not findings.stores:
        return
    yield f"## A model folder of {findings.stores[0].megabytes:,} MB, into the object store and out of it"
    yield _table(
        ("store", "program", "direction", "MB/s", "seconds, each round"),
        (
            (
                one.store,
                f"**{one.program}**" if one.program == OURS else one.program,
                one.direction,
                number(one.per_second),
                ", ".join(map(number, one.seconds)),
            )
            for one in findings.stores
        ),
    )


def _trouble(findings: Findings) -> Iterator[str]:
    troubled = [one for one in findings.results if not one.is_sound]
    if findings.cut_short_by:
        yield f"## The run was cut short\n\n```\n{findings.cut_short_by}\n```"
    if troubled:
        yield "## Failed requests and wrong predictions"
        yield "\n".join(
            f"- {one.server}, {one.cell.model}, {one.cell.rows} rows, {one.cell.connections} connections: "
            f"{dict(list(one.failures.items())[:5])} {one.wrong[:3]}"
            for one in troubled
        )


def _circumstances(findings: Findings) -> str:
    lines = ["## The machine and the versions", ""]
    lines += [f"- {name}: {value}" for name, value in findings.machine.items()]
    lines += [f"- everywhere: {', '.join(findings.packages)}"]
    lines += [
        f"- {name}: {', '.join(f'{package} {version}' for package, version in versions.items())}"
        for name, versions in findings.versions.items()
    ]
    lines += [
        f"- the load generator alone, {count} connections: {number(one['per_second'])} requests/s"
        for count, one in findings.ceiling.items()
    ]
    lines += [f'- command: `make bench ARGS="{findings.options}"`' if findings.options else "- command: `make bench`"]
    return "\n".join(lines)


def _table(names: Sequence[str], rows: Iterable[tuple[str, ...]]) -> str:
    ruler = tuple("---" for _ in names)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (names, ruler, *rows))
