"""The findings as pictures."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

# Agg needs no screen. Set before the import of pyplot, which would choose a backend.
mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.figures import OURS, REFERENCE, Cell, Results
from benchmarks.matrix import Footprint
from benchmarks.models import DESCRIPTIONS

_COLOURS: Mapping[str, str] = {
    "modelyard": "#0b5fa5",
    "mlflow": "#d1762b",
    "azureml": "#4d4d4d",
    "mlserver": "#7fb27a",
    "mlserver-batching": "#2e7d32",
}
_MARKERS: Mapping[str, str] = {
    "modelyard": "o",
    "mlflow": "s",
    "azureml": "D",
    "mlserver": "^",
    "mlserver-batching": "v",
}
_EARLIER_COLOUR, _EARLIER_MARKER = "#8fb8d9", "o"
"""Style of the platform as of an earlier commit, measured with --before."""
_DPI = 130


def draw(results: Results, footprints: Sequence[Footprint], folder: Path) -> list[Path]:
    """Draw all plots with data. Returns the paths."""
    if not results.cells:
        return []
    pictures = {
        "requests_per_second.png": lambda: _grid(results, "per_second", "requests per second", "higher is better"),
        "p50.png": lambda: _grid(results, "p50_ms", "median latency, ms", "lower is better"),
        "p99.png": lambda: _grid(results, "p99_ms", "99th percentile of latency, ms", "lower is better"),
        "cpu.png": lambda: _grid(results, "cpu_per_1000", "CPU seconds per 1,000 requests", "lower is better"),
        "ratios.png": lambda: _ratios(results),
        "memory.png": lambda: _memory(footprints),
    }
    return [_saved(make, folder / name) for name, make in pictures.items()]


def _saved(make: Callable[[], Figure], path: Path) -> Path:
    figure = make()
    figure.savefig(path, dpi=_DPI, bbox_inches="tight", facecolor="white")
    plt.close(figure)
    return path


def _grid(results: Results, figure: str, title: str, remark: str) -> Figure:
    """Draw a panel per model and number of rows, over the number of connections, with logarithmic axes."""
    models = list(dict.fromkeys(cell.model for cell in results.cells))
    rows = sorted({cell.rows for cell in results.cells})
    size = (3.1 * len(rows) + 1.2, 2.3 * len(models) + 1.2)
    drawn, axes = plt.subplots(
        len(models), len(rows), figsize=size, sharex=True, sharey="row", squeeze=False, layout="constrained"
    )
    for model, line in zip(models, axes, strict=True):
        for count, panel in zip(rows, line, strict=True):
            _panel(panel, results, model, count, figure)
            panel.set_title(_rows_title(count), fontsize=9, color="#333333")
        line[0].set_ylabel(DESCRIPTIONS[model].replace(", ", ",\n", 1), fontsize=9)
    for panel in axes[-1]:
        panel.set_xlabel("connections", fontsize=9)
    drawn.suptitle(f"{title} ({remark})", fontsize=12, fontweight="bold")
    handles, labels = axes[0][0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
    return drawn


def _rows_title(count: int) -> str:
    return "1 row a request" if count == 1 else f"{count:,} rows a request"


def _panel(panel: Axes, results: Results, model: str, rows: int, figure: str) -> None:
    cells = [cell for cell in results.cells if cell.model == model and cell.rows == rows]
    connections = [cell.connections for cell in cells]
    for server in results.servers:
        values = [results.figure(cell, server, figure) for cell in cells]
        wide = 2.4 if server == OURS else 1.3
        panel.plot(
            connections,
            values,
            label=server,
            color=_COLOURS.get(server, _EARLIER_COLOUR),
            marker=_MARKERS.get(server, _EARLIER_MARKER),
            linewidth=wide,
            markersize=5,
            zorder=3 if server == OURS else 2,
        )
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.set_xticks(connections, [str(count) for count in connections])
    _mark(panel.yaxis)
    _lighten(panel)


def _mark(axis: Axis) -> None:
    """Mark 1, 2, 5, 10 and so on along a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(_plain))


def _plain(value: float, _: object = None) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _lighten(panel: Axes) -> None:
    panel.grid(axis="y", color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(labelsize=8)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def _ratios(results: Results) -> Figure:
    """Draw the ratio of the gateway's requests per second to the reference, for all loads."""
    cells = [cell for cell in results.cells if not math.isnan(results.ratio(cell, "per_second"))]
    drawn, panel = plt.subplots(figsize=(8.5, 0.27 * max(len(cells), 4) + 1.2), layout="constrained")
    values = [results.ratio(cell, "per_second") for cell in cells]
    places = range(len(cells))
    panel.barh(places, [value - 1 for value in values], left=1, color=_COLOURS[OURS], height=0.7)
    for place, value in zip(places, values, strict=True):
        panel.annotate(
            f"{value:,.1f}×", (max(value, 1), place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8
        )
    panel.set_yticks(places, [_named(cell) for cell in cells], fontsize=8)
    panel.invert_yaxis()
    panel.set_xscale("log")
    _mark(panel.xaxis)
    panel.axvline(1, color=_COLOURS[REFERENCE], linewidth=1)
    panel.margins(x=0.12)
    drawn.suptitle("Modelyard's requests per second, as a multiple of azureml-inference-server-http's", fontsize=11)
    _lighten(panel)
    panel.grid(visible=False, axis="y")
    return drawn


def _named(cell: Cell) -> str:
    rows = "row" if cell.rows == 1 else "rows"
    connections = "connection" if cell.connections == 1 else "connections"
    return f"{cell.model}, {cell.rows:,} {rows}, {cell.connections} {connections}"


def _memory(footprints: Sequence[Footprint]) -> Figure:
    """Draw bars by server and model. Modelyard's management, shared by all models, has a lighter colour."""
    models = list(dict.fromkeys(one.model for one in footprints))
    servers = list(dict.fromkeys(one.server for one in footprints))
    drawn, panels = plt.subplots(
        1, len(models), figsize=(2.6 * len(models) + 1.5, 2.8), sharey=True, squeeze=False, layout="constrained"
    )
    for model, panel in zip(models, panels[0], strict=True):
        for place, server in enumerate(servers):
            _stacked(panel, place, [one for one in footprints if (one.model, one.server) == (model, server)])
        panel.set_yticks(range(len(servers)), servers)
        panel.set_title(model, fontsize=9)
        panel.set_xlabel("MB", fontsize=9)
        _lighten(panel)
        panel.grid(visible=False, axis="y")
    panels[0][0].invert_yaxis()
    drawn.suptitle("Memory (PSS); lighter: management, once for all models", fontsize=11, fontweight="bold")
    return drawn


def _stacked(panel: Any, place: int, parts: Sequence[Footprint]) -> None:
    left = 0.0
    for one in parts:
        paleness = 0.35 if one.part == "management" else 1.0
        panel.barh(
            place,
            one.memory.proportional,
            left=left,
            color=_COLOURS.get(one.server, _EARLIER_COLOUR),
            alpha=paleness,
            height=0.65,
        )
        left += one.memory.proportional
    panel.annotate(f"{left:,.0f}", (left, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8)
    panel.margins(x=0.2)
