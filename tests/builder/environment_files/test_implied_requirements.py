"""The requirements added for MLflow to load the model."""

import pytest

from builder.environment_files.implied_requirements import implied_requirements, requirements_implied_by_versions


def added(*requirements: str, mlflow: str | None = None) -> list[str]:
    return [each.requirement for each in implied_requirements(requirements, mlflow_version=mlflow)]


class TestImpliedRequirements:
    @pytest.mark.parametrize(
        ("requirements", "mlflow", "expected"),
        [
            (["scikit-learn"], "3.4.0", ["mlflow-skinny==3.4.0", "pandas<3", "numpy<3"]),
            (["scikit-learn"], "2.7.1", ["mlflow-skinny==2.7.1", "pandas<3", "numpy<2", "setuptools<81"]),
            (["scikit-learn"], "1.30.0", ["mlflow-skinny==1.30.0", "pandas<2", "numpy<2", "setuptools<81"]),
            (["scikit-learn"], None, ["mlflow-skinny", "pandas", "numpy"]),
            (["scikit-learn"], "3.5.0.dev0", ["mlflow-skinny", "pandas", "numpy"]),
            (["scikit-learn"], "not a version", ["mlflow-skinny", "pandas", "numpy"]),
            (["mlflow==2.7.1", "numpy==1.23.5"], "2.7.1", ["pandas<3", "setuptools<81"]),
            (["mlflow", "pandas", "numpy"], "2.7.1", []),
            (["MLflow_Skinny==2.16.0", "pandas", "numpy"], None, []),
            (["mlflow==2.15.1", "pandas", "numpy", "setuptools"], None, ["setuptools<81"]),
            (["mlflow==2.15.1", "pandas", "numpy", "setuptools==65.0"], None, []),
            (["mlflow==2.15.*", "pandas", "numpy"], None, ["setuptools<81"]),
        ],
    )
    def test_missing_requirements_of_mlflow_are_added(self, requirements, mlflow, expected):
        assert added(*requirements, mlflow=mlflow) == expected

    def test_each_note_has_a_reason(self):
        notes = [each.note for each in implied_requirements(["scikit-learn"], mlflow_version="2.7.1")]
        assert notes[0].startswith("added mlflow-skinny==2.7.1: the model lists no mlflow")
        assert "pkg_resources" in notes[-1]


class TestRequirementsImpliedByVersions:
    @pytest.mark.parametrize(
        ("versions", "requirements", "expected"),
        [
            ({"mlflow": "2.10.0"}, ["mlflow"], ["setuptools<81"]),
            ({"mlflow": "2.17.2", "mlflow-skinny": "2.17.2"}, ["mlflow"], []),
            ({"mlflow-skinny": "2.10.0", "setuptools": "80.1"}, ["mlflow-skinny"], []),
            ({"mlflow-skinny": "2.10.0", "setuptools": "82.0"}, ["mlflow-skinny"], ["setuptools<81"]),
            ({"mlflow-skinny": "2.10.0", "setuptools": "82.0"}, ["mlflow-skinny", "setuptools==82.0"], []),
            ({"numpy": "1.0"}, ["numpy"], []),
        ],
    )
    def test_setuptools_is_added_for_a_resolved_mlflow_with_pkg_resources(self, versions, requirements, expected):
        implied = requirements_implied_by_versions(versions, requirements)
        assert [each.requirement for each in implied] == expected
