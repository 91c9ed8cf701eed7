"""Hostile MLmodel and conda files, registered through the public API: 400 with a sentence, at once."""

import time

import pytest

from tests.control_plane.control import error_of

PYFUNC = "python_function: {loader_module: mlflow.sklearn}"
DEEP_JSON = "[" * 60 + "]" * 60
# A quadratic reader takes minutes.
_MOST_SECONDS = 10.0


def with_pyfunc(**entries: str) -> str:
    written = "".join(f", {name}: {value}" for name, value in entries.items())
    return f"flavors:\n  python_function: {{loader_module: mlflow.sklearn{written}}}\n"


MLMODELS = {
    "alias bomb of 441 bytes": (
        "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 8))
        + f"flavors: {{{PYFUNC}, x: {{y: *a7}}}}\n",
        "anchor or alias",
    ),
    "self reference": (f"flavors: {{{PYFUNC}, x: &x {{y: *x}}}}\n", "anchor or alias"),
    "merge key": (f"a: &a {{b: 1}}\nflavors: {{{PYFUNC}, x: {{<<: *a}}}}\n", "anchor or alias"),
    "600 kB of depth": ("flavors: " + "[" * 600_000, "deeper than 50"),
    "depth in blocks": ("flavors:\n- " + "- " * 100_000 + "x", "deeper than 50"),
    "just over 1 MB": (f"flavors: {{{PYFUNC}}}\n#" + "x" * (1 << 20), "at most 1048576"),
    "half a million values": (f"flavors: {{{PYFUNC}, x: {{y: [" + "1," * 500_000 + "1]}}", "more than 50000 values"),
    "tag directives": ("".join(f"%TAG !a{i}! tag:x,y:\n" for i in range(30_000)), "begins with '%'"),
    "list as a key": (f"flavors: {{{PYFUNC}, [a]: {{}}}}\n", "as a key"),
    "NUL": ("flavors: \0", "not valid YAML"),
    "not UTF-8": (b"flavors: \xff\xff", "not valid YAML"),
    "escaped surrogate": (f'flavors: {{{PYFUNC}, "\\ud800": {{}}}}\n', "not valid YAML"),
    "flavor's name of two lines": (f'flavors: {{{PYFUNC}, "a\\nb": {{}}}}\n', "U+000A"),
    "flavor's name with NUL": (f'flavors: {{{PYFUNC}, "a\\0b": {{}}}}\n', "U+0000"),
    "loader of two lines": ('flavors: {python_function: {loader_module: "os\\n"}}\n', "not a module name"),
    "loader of code": ("flavors: {python_function: {loader_module: '__import__(\"os\")'}}\n", "not a module name"),
    "loader is a list": ("flavors: {python_function: {loader_module: [os]}}\n", "not a module name"),
    "predict function of code": (with_pyfunc(predict_fn="'x; import os'"), "not a function name"),
    "predict function of two lines": (with_pyfunc(predict_fn='"predict\\n"'), "U+000A"),
    "environment of two lines": (with_pyfunc(env='"conda.yaml\\n-r x"'), "U+000A"),
    "environment with NUL": (with_pyfunc(env='{conda: "c\\0"}'), "U+0000"),
    "environment is a list": (with_pyfunc(env="{conda: [a]}"), "list or mapping"),
    "Python version of two lines": (with_pyfunc(python_version='"3.11\\n"'), "U+000A"),
    "Python version is a mapping": (with_pyfunc(python_version="{a: b}"), "list or mapping"),
    "MLflow version of two lines": (with_pyfunc() + 'mlflow_version: "2.7.1\\n-r x"\n', "U+000A"),
    "time of two lines": (with_pyfunc() + 'utc_time_created: "2025\\n"\n', "U+000A"),
    "example's name with NUL": (with_pyfunc() + 'saved_input_example_info: {artifact_path: "a\\0"}\n', "U+0000"),
    "deep signature": (with_pyfunc() + f"signature: {{inputs: '{DEEP_JSON}'}}\n", "deeper than 50"),
    "very deep signature": (with_pyfunc() + f"signature: {{params: '{'[' * 200_000}'}}\n", None),
    "signature is a list": (with_pyfunc() + "signature: {inputs: [a]}\n", "list or mapping"),
    "flavors is a text": ("flavors: x\n", "no 'flavors' mapping"),
    "flavor is a number": (f"flavors: {{{PYFUNC}, x: 1}}\n", "no 'flavors' mapping"),
    "data upwards by backslashes": (with_pyfunc(data="'..\\..\\secret'"), "line 2: flavors.python_function.data"),
    "code on a drive of Windows": (with_pyfunc(code="'C:\\code'"), "line 2: flavors.python_function.code"),
    "UTF-16": (with_pyfunc().encode("utf-16"), "save it as UTF-8"),
    "empty": ("", "not a mapping"),
}

CONDA_FILES = {
    "alias bomb": ("a: &a [x]\nb: &b [*a,*a]\ndependencies: [*b]\n", "anchor or alias"),
    "self reference": ("dependencies: &a [*a]\n", "anchor or alias"),
    "depth": ("dependencies: " + "[" * 100_000, "deeper than 50"),
    "values": ("dependencies: [" + "1," * 100_000 + "1]", "more than 50000 values"),
    "tag directives": ("".join(f"%TAG !a{i}! tag:x,y:\n" for i in range(20_000)), "begins with '%'"),
    "python object": ("!!python/object/apply:os.system ['id']\n", "dependencies"),
    "escaped surrogate": ('dependencies: ["\\ud800"]\n', "not valid YAML"),
    "NUL": ("dependencies: [\0]\n", None),
    "list as a key": ("dependencies: []\n[a]: b\n", "as a key"),
    "two documents": ("dependencies: []\n---\ndependencies: []\n", "not valid YAML"),
}


@pytest.mark.parametrize(("text", "says"), MLMODELS.values(), ids=MLMODELS)
def test_hostile_mlmodel_is_400(control, text, says):
    content = text if isinstance(text, bytes) else text.encode()
    uri = control.upload({"MLmodel": content})
    started = time.monotonic()
    answer = control.ask("PUT", "/models/m/versions/1", {"properties": {"modelType": "mlflow_model", "modelUri": uri}})
    assert time.monotonic() - started < _MOST_SECONDS
    if says is None:
        assert answer.status_code in {201, 400}
        return
    error = error_of(answer, 400)
    assert says in error["message"]
    assert len(error["message"]) < 1000
    assert error["message"].isprintable()
    assert control.ask("GET", "/models/m").status_code == 404


@pytest.mark.parametrize(("text", "says"), CONDA_FILES.values(), ids=CONDA_FILES)
def test_hostile_conda_file_is_400(control, text, says):
    started = time.monotonic()
    answer = control.ask("PUT", "/environments/e/versions/1", {"properties": {"condaFile": text}})
    assert time.monotonic() - started < _MOST_SECONDS
    error = error_of(answer, 400)
    assert says is None or says in error["message"]
    assert control.ask("GET", "/environments/e").status_code == 404


def test_flavor_values_with_nul_and_large_numbers_are_stored(control):
    text = with_pyfunc() + '  x: {"a\\0b": "c\\0d", n: ' + "9" * 5000 + ", s: " + ":".join(["1"] * 1000) + "}\n"
    uri = control.upload({"MLmodel": text.encode()})
    found = control.put("/models/m/versions/1", {"properties": {"modelType": "mlflow_model", "modelUri": uri}})
    assert found["properties"]["flavors"]["x"]["data"]["ab"] == "cd"
    assert found["properties"]["flavors"]["x"]["data"]["n"] == "9" * 5000
