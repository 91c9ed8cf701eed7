"""Write the findings of a run to a new folder, and the aims of a whole run to the page of all results."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.report.findings import Findings
from benchmarks.report.plots import draw
from benchmarks.report.table import aims_table, page

_LIMITS = "limits.md"


def write(findings: Findings, results: Path) -> Path:
    folder = results / f"{findings.begun_at:%Y-%m-%d-%H%M}"
    folder.mkdir(parents=True, exist_ok=True)
    pictures = draw(findings.results, findings.footprints, folder)
    (folder / "table.md").write_text(page(findings))
    (folder / "results.json").write_text(json.dumps(document(findings), indent=1) + "\n")
    front = results / "README.md"
    if findings.is_whole or not front.exists():
        newest = _newest(findings, results, folder.name, [picture.name for picture in pictures])
        front.write_text(newest + _separate_runs(front))
    return folder


def document(findings: Findings) -> dict[str, Any]:
    """Return all measurements, round by round."""
    return {
        "begun_at": findings.begun_at.isoformat(timespec="seconds"),
        "machine": dict(findings.machine),
        "packages": findings.packages,
        "versions": {name: dict(versions) for name, versions in findings.versions.items()},
        "options": findings.options,
        "ceiling": {str(count): dict(one) for count, one in findings.ceiling.items()},
        "results": [asdict(one) for one in findings.results],
        "bounds": [asdict(one) for one in findings.bounds],
        "commands": dict(findings.commands),
        "not_run": findings.not_run,
        "own_times": findings.own_times,
        "enforcement": [asdict(one) for one in findings.enforcement],
        "large_frames": [asdict(one) for one in findings.large_frames],
        "deploy": asdict(findings.deploy),
        "batch": [asdict(one) for one in findings.batch.results],
        "stores": [asdict(one) for one in findings.stores],
        "footprints": [asdict(one) for one in findings.footprints],
        "aims": [asdict(one) for one in findings.aims],
    }


def _newest(findings: Findings, results: Path, folder: str, pictures: list[str]) -> str:
    machine = ", ".join(f"{name}: {value}" for name, value in findings.machine.items())
    lines = [
        "# Results",
        "",
        f"The newest run: [{folder}]({folder}/table.md), with [every figure]({folder}/results.json). "
        "The method: [../README.md](../README.md).",
        "",
        f"The machine: {machine}. The load generator runs on the same cores.",
        "",
        aims_table(findings.aims),
        "",
        *_limits(results),
        *(f"![{picture}]({folder}/{picture})" for picture in pictures),
    ]
    return "\n".join(lines) + "\n"


def _separate_runs(front: Path) -> str:
    """The sections of the page about separate runs, which are written by hand."""
    text = front.read_text() if front.exists() else ""
    _, heading, sections = text.partition("\n## ")
    return heading + sections


def _limits(results: Path) -> list[str]:
    """Link the hand-written page of reasons for missed aims. A run does not change the page."""
    return [f"Reasons for missed aims: [{_LIMITS}]({_LIMITS}).", ""] if (results / _LIMITS).exists() else []
