"""The tables, pages and plots of a run."""

import json
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.bound import Bound
from benchmarks.enforcement import Enforcement
from benchmarks.figures import Cell, Results, Round
from benchmarks.matrix import Footprint
from benchmarks.processes import Memory
from benchmarks.report.findings import Findings
from benchmarks.report.numbers import number
from benchmarks.report.table import page
from benchmarks.report.write import write

CELLS = [Cell("elasticnet", 1, connections) for connections in (1, 32)]


@pytest.fixture
def findings() -> Findings:
    results = Results()
    for cell in CELLS:
        for server, per_second in (("modelyard", 1500), ("azureml", 500)):
            results.of(cell, server).rounds.append(Round(per_second, 1.0, 0.75, 12.345, 0.5, 0.1))
    found = Findings(datetime(2026, 1, 2, 3, 4, tzinfo=UTC), {"cores": "2"}, ["mlflow==3.17.2"], "--rounds 1")
    found.results = results
    found.footprints = [Footprint("elasticnet", "modelyard", "server", 2, Memory(300.0, 250.0), 0.01)]
    found.enforcement = [Enforcement(200, 1, 0.05, 50.0, is_equal=True)]
    found.own_times = {"elasticnet": {"model_ms": 0.5, "whole_ms": 0.9, "added_ms": 0.4}}
    return found


class TestTable:
    @pytest.mark.parametrize(
        ("value", "shown"),
        [(14498.2, "14,498"), (93.44, "93.4"), (3.428, "3.43"), (0.0312, "0.031"), (float("nan"), "–")],
    )
    def test_number_is_written_with_about_three_digits(self, value: float, shown: str) -> None:
        assert number(value) == shown

    def test_table_has_a_line_per_server_with_the_ratio_to_azureml(self, findings: Findings) -> None:
        lines = page(findings).splitlines()

        assert "| 1 | 32 | **modelyard** | 1,500 | 0.75 | 12.3 | 0.33 | 3.00 |" in lines
        assert "| 1 | 32 | azureml | 500 | 0.75 | 12.3 | 1.00 | 1 |" in lines

    def test_page_names_the_first_server_of_every_cell(self, findings: Findings) -> None:
        findings.results.of(CELLS[1], "mosec").rounds.append(Round(3000, 1.0, 0.5, 24.69, 0.5, 0.1))

        lines = page(findings).splitlines()

        ours = "**modelyard** | 3.00 × azureml | 3.00 × azureml"
        same = "**modelyard** | 1.00 × azureml | 1.00 × azureml"
        assert f"| 1 | 1 | {ours} | {same} | {same} |" in lines
        behind = "mosec | 2.00 × modelyard | 0.50 × mosec | mosec | 1.50 × modelyard | 0.67 × mosec"
        assert f"| 1 | 32 | {behind} | {same} |" in lines

    def test_page_compares_with_the_platform_as_of_an_earlier_commit(self, findings: Findings) -> None:
        findings.results.of(CELLS[1], "modelyard@43513ab").rounds.append(Round(1000, 1.0, 1.5, 24.0, 0.5, 0.1))

        text = page(findings)

        assert "## modelyard@43513ab and the code of this run" in text
        assert "| elasticnet | 1 | 32 | 1,000 | 1,500 | 1.50 | 0.75 | 24.0 | 12.3 | 1.50 |" in text

    def test_page_has_commands_and_the_work_that_a_server_does_not_do(self, findings: Findings) -> None:
        findings.commands = {"azureml": "bin/python -c 'server.run()'"}

        assert (
            "| azureml | no key; inference-schema converts by the example | `bin/python -c 'server.run()'` |"
            in page(findings)
        )

    def test_server_that_could_not_run_is_on_the_page_with_the_reason(self, findings: Findings) -> None:
        findings.not_run = {"pytriton": "the installation failed: no wheel"}

        assert "- pytriton:\n\n  ```\n  the installation failed: no wheel\n  ```" in page(findings)

    def test_page_has_the_ratio_to_parsing_and_predicting_in_process(self, findings: Findings) -> None:
        findings.bounds = [Bound("elasticnet", 1, [0.5, 0.6, 9.0])]

        assert "| elasticnet | 1 | 0.60 | 0.75 | 1.25 |" in page(findings)

    def test_aims_table_tells_met_missed_and_unmeasured_aims(self, findings: Findings) -> None:
        text = page(findings)

        assert "MLflow's time as a ratio to ours | at least 50 | 1,000 | met |" in text
        assert "requests/s, as a ratio to azureml | at least 30 | 3 | **not met** |" in text
        assert "MLServer with batching | at least 15 | – | not measured |" in text

    def test_failure_is_in_the_table_and_makes_the_findings_unsound(self, findings: Findings) -> None:
        assert findings.is_sound
        findings.results.of(CELLS[0], "azureml").failures["503: busy"] = 7

        assert not findings.is_sound
        assert "- azureml, elasticnet, 1 rows, 1 connections: {'503: busy': 7}" in page(findings)

    def test_page_of_an_interrupted_run_has_the_reason(self, findings: Findings) -> None:
        findings.cut_short_by = "mlflow gives no prediction"

        assert not findings.is_sound
        assert "cut short\n\n```\nmlflow gives no prediction" in page(findings)


class _WholeFindings(Findings):
    is_whole = True


@pytest.fixture
def whole(findings: Findings) -> Findings:
    """Findings that count as those of a run of all parts."""
    return _WholeFindings(**{field.name: getattr(findings, field.name) for field in fields(findings)})


class TestWriting:
    def test_whole_run_writes_a_folder_and_updates_the_page_of_results(self, whole: Findings, tmp_path: Path) -> None:
        folder = write(whole, tmp_path)

        assert folder == tmp_path / "2026-01-02-0304"
        kept = json.loads((folder / "results.json").read_text())
        assert kept["results"][0]["rounds"][0]["answers"] == 1500
        assert (folder / "requests_per_second.png").read_bytes().startswith(b"\x89PNG")
        assert "2026-01-02-0304/table.md" in (tmp_path / "README.md").read_text()

    def test_whole_run_keeps_the_sections_about_separate_runs(self, whole: Findings, tmp_path: Path) -> None:
        (tmp_path / "README.md").write_text("# Results\n\nolder aims\n\n## The array shortcut\n\nfigures\n")
        write(whole, tmp_path)

        text = (tmp_path / "README.md").read_text()
        assert "older aims" not in text
        assert text.endswith("\n## The array shortcut\n\nfigures\n")

    def test_partial_run_does_not_change_the_page_of_results(self, findings: Findings, tmp_path: Path) -> None:
        (tmp_path / "README.md").write_text("of all parts")
        folder = write(findings, tmp_path)

        assert (folder / "table.md").exists()
        assert (tmp_path / "README.md").read_text() == "of all parts"
