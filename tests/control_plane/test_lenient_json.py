"""Bodies as Azure's own parser takes them: trailing commas, and raw control characters in strings."""

import json

import pytest

from control_plane.web.lenient_json import read_json
from tests.control_plane.control import Control, error_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "5",}', {"a": "5"}),
        ('{"a": [1, 2, ], "b": {"c": 1,\n},\n}', {"a": [1, 2], "b": {"c": 1}}),
        ('{"a": "line\none\ttab"}', {"a": "line\none\ttab"}),
        ('{"a": "x,}", "b": "\\",]",}', {"a": "x,}", "b": '",]'}),
        ('{"a": "\\\\",}', {"a": "\\"}),
        ("\ufeff[1,]", [1]),
        ('{"a": NaN}', None),
    ],
)
def test_lenient_text_reads_as_meant(text: str, value: object):
    read = read_json(text.encode())
    assert value is None or read == value


@pytest.mark.parametrize("text", ['{"a": 1.50, "b": "\\u00e9\\n", "a": 2}', "[]", "7", '"x"', '{"a": [",", "]"]}'])
def test_valid_text_reads_as_by_the_standard_library(text: str):
    assert read_json(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"a": 1,,}', "line 1"),
        ("{,}", "line 1, column 2"),
        ("[ ,]", "line 1"),
        ("[1 2]", "line 1, column 4"),
        ('{"a": "no end,}', "line 1, column 7"),
        ('{"a": 1,\n "b" 2}', "line 2, column 6"),
        ("{'a': 1}", "line 1, column 2"),
        ("", "line 1, column 1"),
    ],
)
def test_other_mistakes_are_refused_with_the_place(text: str, place: str):
    with pytest.raises(json.JSONDecodeError, match=place):
        read_json(text.encode())


@pytest.mark.parametrize(
    "text", ['\\"' * 200_000, '"' * 200_001, "," * 400_000, '{"a": "' + '\\"' * 200_000, "[," * 200_000]
)
def test_hostile_text_costs_linear_time(text: str):
    # With quadratic time, each takes minutes.
    with pytest.raises((json.JSONDecodeError, RecursionError)):
        read_json(text.encode())


class TestRoutes:
    """The bodies of the published samples `deploy-rest` and `batch-score-rest`."""

    def put(self, control: Control, path: str, text: str):
        return control.http.put(f"{control.workspace}{path}", content=text.encode())

    def test_compute_with_a_trailing_comma(self, control: Control):
        text = '{"location": "local", "properties": {"computeType": "AmlCompute", "properties": {"vmSize": "x",},},}'
        answer = self.put(control, "/computes/batch-cluster", text)
        assert answer.status_code == 201
        assert answer.json()["properties"]["properties"] == {"vmSize": "x"}
        assert "properties has no effect" in answer.headers["Warning"]

    def test_environment_with_raw_line_breaks(self, control: Control):
        conda = "name: e\ndependencies:\n  - python=3.11\n"
        answer = self.put(control, "/environments/e/versions/1", f'{{"properties": {{"condaFile": "{conda}"}}}}')
        assert (answer.status_code, answer.json()["properties"]["condaFile"]) == (201, conda)

    def test_batch_deployment_and_job_with_strings_for_numbers(self, control: Control):
        model = control.register()
        answer = self.put(
            control,
            "/batchEndpoints/be-one",
            '{"identity": {"type": "systemAssigned"}, "location": "local", "properties": {"AuthMode": "aadToken",}}',
        )
        assert answer.status_code == 201
        text = f"""{{"location": "local", "properties": {{
            "model": {{"referenceType": "Id", "assetId": "{model}"}},
            "resources": {{"instanceCount": "1", }},
            "maxConcurrencyPerInstance": "4", "retrySettings": {{"maxRetries": "3", "timeout": "PT30S"}},
            "errorThreshold": "10", "loggingLevel": "info", "miniBatchSize": "5", }}}}"""
        answer = self.put(control, "/batchEndpoints/be-one/deployments/bd-one", text)
        assert answer.status_code == 201, answer.text
        assert answer.json()["properties"]["miniBatchSize"] == 5
        control.build_batch()
        defaults = {"properties": {"defaults": {"deploymentName": "bd-one"}}}
        control.ask("PATCH", "/batchEndpoints/be-one", defaults)
        uri = control.place()["uri"]
        text = f'{{"properties": {{"InputData": {{"in": {{"JobInputType": "UriFolder", "Uri": "{uri}", }}, }}, }}, }}'
        answer = control.http.post("/batch/be-one/jobs", content=text.encode())
        assert answer.status_code == 201, answer.text

    def test_real_mistake_is_400_with_the_place(self, control: Control):
        error = error_of(self.put(control, "/computes/c", '{"properties": {"a" 1}}'), 400)
        assert "line 1, column 21" in error["message"]
        assert error["details"][0]["code"] == "InvalidJson"
