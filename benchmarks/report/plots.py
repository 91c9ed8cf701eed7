"""The findings as pictures."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

# Agg needs no screen. Set before the import of pyplot, which would choose a backend.
mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.figures import IS_HIGHER_BETTER, OURS, Cell, Results, is_ours
from benchmarks.matrix import Footprint
from benchmarks.report.numbers import number

_OUR_COLOUR, _EARLIER_COLOUR, _PEER_COLOUR, _BEHIND_COLOUR = "#0b5fa5", "#8fb8d9", "#7a7a7a", "#b5532a"
_TITLES: Mapping[str, str] = {
    "per_second": "Requests per second",
    "p50_ms": "Median latency, ms",
    "p99_ms": "99th percentile of latency, ms",
    "cpu_per_1000": "CPU seconds per 1,000 requests",
}
_FILES: Mapping[str, str] = {
    "requests_per_second.png": "per_second",
    "p50.png": "p50_ms",
    "p99.png": "p99_ms",
    "cpu.png": "cpu_per_1000",
}
_PALEST = 30.0
"""The ratio to the best figure of a cell at which a cell is white."""
_DPI = 130


def draw(results: Results, footprints: Sequence[Footprint], folder: Path) -> list[Path]:
    """Draw all plots with data. Returns the paths."""
    if not results.cells:
        return []
    pictures = {name: _heat_map(results, figure) for name, figure in _FILES.items()}
    if results.peers:
        pictures["ratios.png"] = _ratios(results)
    pictures["memory.png"] = _memory(footprints)
    return [_saved(figure, folder / name) for name, figure in pictures.items()]


def _saved(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=_DPI, bbox_inches="tight", facecolor="white")
    plt.close(figure)
    return path


def _heat_map(results: Results, figure: str) -> Figure:
    """Draw a line per cell and a column per server: the value, darker the nearer to the best of the line."""
    cells, servers = results.cells, results.servers
    size = (0.72 * len(servers) + 2.8, 0.24 * len(cells) + 1.9)
    drawn, panel = plt.subplots(figsize=size, layout="constrained")
    distances = [_distances([results.figure(cell, server, figure) for server in servers], figure) for cell in cells]
    shades = [[1 - math.log(min(one, _PALEST)) / math.log(_PALEST) for one in line] for line in distances]
    panel.imshow(shades, cmap="Blues", vmin=0, vmax=1.35, aspect="auto")
    for row, cell in enumerate(cells):
        for column, server in enumerate(servers):
            is_best = distances[row][column] == 1
            panel.text(
                column,
                row,
                number(results.figure(cell, server, figure)),
                ha="center",
                va="center",
                fontsize=7.5,
                fontweight="bold" if is_best else "normal",
                color="black",
            )
            if is_best:
                corner = (column - 0.5, row - 0.5)
                panel.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="#c0392b", linewidth=1.6))
    _label(panel, results, cells)
    better = "higher is better" if IS_HIGHER_BETTER[figure] else "lower is better"
    drawn.suptitle(f"{_TITLES[figure]} ({better}; framed: the best of the line)", fontsize=11, fontweight="bold")
    return drawn


def _distances(values: Sequence[float], figure: str) -> list[float]:
    """Return how many times worse each value is than the best. Values that are not measured are infinitely far."""
    known = [value for value in values if value > 0]
    if not known:
        return [math.inf for _ in values]
    if IS_HIGHER_BETTER[figure]:
        return [max(known) / value if value > 0 else math.inf for value in values]
    return [value / min(known) if value > 0 else math.inf for value in values]


def _label(panel: Axes, results: Results, cells: Sequence[Cell]) -> None:
    panel.set_yticks(range(len(cells)), [_named(cell) for cell in cells], fontsize=8)
    panel.set_xticks(range(len(results.servers)), results.servers, fontsize=8.5, rotation=40, ha="left")
    panel.xaxis.tick_top()
    for label in panel.get_xticklabels():
        if label.get_text() == OURS:
            label.set_fontweight("bold")
    panel.tick_params(length=0)
    for row in range(1, len(cells)):
        if cells[row].model != cells[row - 1].model:
            panel.axhline(row - 0.5, color="black", linewidth=1.2)
        elif cells[row].rows != cells[row - 1].rows:
            panel.axhline(row - 0.5, color="#999999", linewidth=0.6)
    for side in panel.spines.values():
        side.set_visible(False)


def _ratios(results: Results) -> Figure:
    """Draw the ratio of the gateway's requests per second to the best peer, for all loads."""
    standings = [results.standing(cell, "per_second") for cell in results.cells]
    shown = [one for one in standings if one is not None and one.best_peer and not math.isnan(one.ours)]
    drawn, panel = plt.subplots(figsize=(8.5, 0.27 * max(len(shown), 4) + 1.2), layout="constrained")
    places = range(len(shown))
    colours = [_OUR_COLOUR if one.ours >= 1 else _BEHIND_COLOUR for one in shown]
    panel.barh(places, [one.ours - 1 for one in shown], left=1, color=colours, height=0.7)
    for place, one in zip(places, shown, strict=True):
        panel.annotate(
            f"{number(one.ours)} × {one.best_peer}",
            (max(one.ours, 1), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    panel.set_yticks(places, [_named(one.cell) for one in shown], fontsize=8)
    panel.invert_yaxis()
    panel.set_xscale("log")
    _mark(panel.xaxis)
    panel.axvline(1, color="black", linewidth=1)
    panel.margins(x=0.2, y=0.01)
    drawn.suptitle("Modelyard's requests per second, as a multiple of the best peer's", fontsize=11, fontweight="bold")
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    return drawn


def _mark(axis: Axis) -> None:
    """Mark 0.5, 1, 2, 5, 10 and so on along a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _named(cell: Cell) -> str:
    rows = "row" if cell.rows == 1 else "rows"
    connections = "connection" if cell.connections == 1 else "connections"
    return f"{cell.model}, {cell.rows:,} {rows}, {cell.connections} {connections}"


def _memory(footprints: Sequence[Footprint]) -> Figure:
    """Draw bars by server and model. Modelyard's management, shared by all models, has a lighter colour."""
    models = list(dict.fromkeys(one.model for one in footprints))
    servers = list(dict.fromkeys(one.server for one in footprints))
    size = (2.6 * len(models) + 1.5, 0.26 * max(len(servers), 5) + 1.4)
    drawn, panels = plt.subplots(1, len(models), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for model, panel in zip(models, panels[0], strict=True):
        for place, server in enumerate(servers):
            _stacked(panel, place, [one for one in footprints if (one.model, one.server) == (model, server)])
        panel.set_yticks(range(len(servers)), servers, fontsize=8.5)
        panel.set_title(model, fontsize=9)
        panel.set_xlabel("MB", fontsize=9)
        panel.tick_params(labelsize=8)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    panels[0][0].invert_yaxis()
    drawn.suptitle("Memory (PSS); lighter: management, once for all models", fontsize=11, fontweight="bold")
    return drawn


def _stacked(panel: Any, place: int, parts: Sequence[Footprint]) -> None:
    left = 0.0
    for one in parts:
        paleness = 0.35 if one.part == "management" else 1.0
        panel.barh(place, one.memory.proportional, left=left, color=_colour(one.server), alpha=paleness, height=0.65)
        left += one.memory.proportional
    panel.annotate(f"{left:,.0f}", (left, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8)
    panel.margins(x=0.2)


def _colour(server: str) -> str:
    if server == OURS:
        return _OUR_COLOUR
    return _EARLIER_COLOUR if is_ours(server) else _PEER_COLOUR
