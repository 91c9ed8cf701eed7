"""Write the findings as Markdown."""

import math
from collections.abc import Iterable, Iterator

from benchmarks.figures import OURS, REFERENCE, Aim, Cell, Results
from benchmarks.models import DESCRIPTIONS
from benchmarks.report.findings import Findings

_COLUMNS = ("rows", "connections", "server", "requests/s", "p50 ms", "p99 ms", "CPU s per 1,000", "requests/s ratio")


def page(findings: Findings) -> str:
    parts = [
        f"# Measured on {findings.begun_at:%d %B %Y, %H:%M} UTC",
        "Medians of the rounds. Ratios are to azureml-inference-server-http. The method: "
        "[benchmarks/README.md](../../README.md).",
        aims_table(findings.aims),
        *_matrix(findings.results),
        *_of_the_gateway(findings),
        *_enforcement(findings),
        *_large_frames(findings),
        *_footprints(findings),
        *_batch(findings),
        *_stores(findings),
        *_trouble(findings),
        _circumstances(findings),
    ]
    return "\n\n".join(parts) + "\n"


def aims_table(aims: Iterable[Aim]) -> str:
    verdicts = {True: "met", False: "**not met**", None: "not measured"}
    rows = ((one.sentence, one.wanted, number(one.seen), verdicts[one.is_met]) for one in aims)
    return _table(("aim", "wanted", "seen", ""), rows)


def number(value: float) -> str:
    """Round to about three digits, the precision of the measurements."""
    if math.isnan(value):
        return "–"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


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
    if any(findings.own_times.values()):
        yield "## What the gateway adds to the model's own time"
        yield "One connection, one row; medians, in milliseconds. The model's time is what the model worker measured."
        rows = (
            (name, number(times["model_ms"]), number(times["whole_ms"]), number(times["added_ms"]))
            for name, times in findings.own_times.items()
            if times
        )
        yield _table(("model", "the model itself", "whole request", "added"), rows)


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
    lines += [f"- options: {findings.options or 'none'}"]
    return "\n".join(lines)


def _table(names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    ruler = tuple("---" for _ in names)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (names, ruler, *rows))
