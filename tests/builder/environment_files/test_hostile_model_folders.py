"""Hostile model folders: each is refused with a sentence for its author, before any program runs."""

import os
import time

import pytest

from builder.environment_files.plan import PlanRules, plan_environment
from builder.environment_files.requirements import RequirementPolicy
from builder.installers.pip_configuration import PipConfiguration
from builder.installers.uv_program import UvFolders, UvProgram
from modelyard.core.domain.environment_spec import EnvironmentSpec
from modelyard.core.domain.mlmodel import parse_mlmodel
from modelyard.core.domain.outgoing_urls import UrlPolicy
from modelyard.core.errors import BuildFailed, InvalidRequest
from tests.builder.conftest import MLMODEL
from tests.builder.packages import make_wheel

SECRET = "/var/lib/modelyard/secrets/postgres.password"
# A quadratic reader takes minutes for the largest inputs.
_MOST_SECONDS = 5.0

# pip lines of conda.yaml, as YAML scalars, and the sentence.
PIP_LINES = {
    "newline and -r": (f"\"https://a.example/x-1.0-py3-none-any.whl ; python_version < '3'\\n-r {SECRET}\"", "U+000A"),
    "newline and name": ('"numpy\\n-e ."', "U+000A"),
    "carriage return": ('"numpy\\r-r x"', "U+000D"),
    "NUL": ('"numpy\\0"', "U+0000"),
    "escape": ('"numpy\\e[2J"', "U+001B"),
    "backspace": ('"numpy\\b"', "U+0008"),
    "delete": ('"numpy\\x7f"', "U+007F"),
    "next line": ('"numpy\\N-r x"', "U+0085"),
    "line separator": ('"numpy\\L-r x"', "U+2028"),
    "paragraph separator": ('"numpy\\P-r x"', "U+2029"),
    "reversed text": ('"numpy\\u202e"', "U+202E"),
    "literal block": ("|\n      numpy\n      -r /etc/passwd", "U+000A"),
    "-r outside": (f"-r {SECRET}", "leaves the model folder"),
    "-r upwards": ("-r ../../secrets/admin.token", "leaves the model folder"),
    "-r by URL": ("-r https://a.example/r.txt", "a URL"),
    "-r by file URL": (f"-r file://{SECRET}", "a URL"),
    "-r of a folder": ("-r sub", "is not a file"),
    "-r of itself": ("-r loop.txt", "includes this file"),
    "-r name too long": ("-r " + "a" * 5000, "not a path"),
    "-r of a missing file": ("-r gone.txt", "not in the model folder"),
    "-c outside": (f"-c {SECRET}", "leaves the model folder"),
    "-c glued": (f"-c{SECRET}", "leaves the model folder"),
    "--constraint=": (f"--constraint={SECRET}", "leaves the model folder"),
    "-e here": ("-e .", "editable"),
    "-e file": ("-e file:///srv", "editable"),
    "-e git+file": ("-e git+file:///srv/repo#egg=x", "is a file of the machine"),
    "-e git metadata": ("-e git+https://169.254.169.254/r#egg=x", "link-local"),
    "-r drive": ("'-r C:\\Users\\me\\requirements.txt'", "leaves the model folder"),
    "-r drive relative": ("'-r C:requirements.txt'", "leaves the model folder"),
    "-r share": ("'-r \\\\server\\share\\r.txt'", "leaves the model folder"),
    "-r upwards by backslash": ("'-r ..\\..\\secrets\\admin.token'", "leaves the model folder"),
    "wheel upwards by backslash": ("'sub\\..\\..\\x-1.0-py3-none-any.whl'", "leaves the model folder"),
    "wheel of a share": ("'\\\\server\\x-1.0-py3-none-any.whl'", "is a file of the machine"),
    "-f outside": ("-f /var/lib", "leaves the model folder"),
    "-f upwards": ("-f ../", "leaves the model folder"),
    "-f file URL": ("-f file:///var/lib", "scheme"),
    "-f FILE URL": ("-f FILE:/var/lib", "scheme"),
    "-f ftp": ("-f ftp://a.example/", "scheme"),
    "index by file": ("--index-url file:///srv", "scheme"),
    "index loopback": ("--index-url http://127.0.0.1:8000/", "MODELYARD_OUTGOING_ALLOWED_HOSTS"),
    "index metadata": ("--extra-index-url http://169.254.169.254/", "link-local"),
    "index decimal": ("--index-url http://2130706433/", "machine itself"),
    "index NUL": ('"--index-url https://a.example/\\0"', "U+0000"),
    "index is an option": ("--index-url=--config-file", "scheme"),
    "index without value": ("--index-url", "no value"),
    "index variable": ("--index-url https://${PIP_PASSWORD}@a.example/", "MODELYARD_BUILD_VARIABLES"),
    "index two hosts": ("--index-url https://a.example@b.example@c.example/", "twice"),
    "unknown option": ("--config-file x", "unknown option"),
    "--target": ("--target /", "unknown option"),
    "--global-option": ("numpy --global-option=build", "only --hash"),
    "--config-settings": ("numpy --config-settings=a=b", "only --hash"),
    "two lines in one": ("numpy --requirement x", "only --hash"),
    "hash of words": ("numpy==1 --hash=sha256:zz", "only --hash"),
    "trusted host list": ("--trusted-host 'a b'", "malformed value"),
    "only binary option": ("--only-binary=--config-file", "malformed value"),
    "file requirement": ("x @ file:///etc", "is a file of the machine"),
    "bare file requirement": ("file:///etc/x-1.0.tar.gz", "is a file of the machine"),
    "file: without slashes": ("file:etc", "is a file of the machine"),
    "git+file": ("git+file:///srv/repo#egg=x", "is a file of the machine"),
    "named git+file": ("x @ git+file:///srv/repo", "is a file of the machine"),
    "GIT+FILE": ("x @ GIT+FILE:///srv/repo", "is a file of the machine"),
    "hg+file": ("x @ hg+file:///srv/repo", "is a file of the machine"),
    "hg": ("x @ hg+https://a.example/repo", "scheme"),
    "git without scheme": ("x @ git://a.example/repo", "scheme"),
    "relative URL": ("x @ ../x.whl", "scheme"),
    "requirement loopback": ("x @ http://localhost/x.zip", "machine itself"),
    "requirement metadata": ("http://169.254.169.254/x-1.0.zip", "link-local"),
    "variable in URL": ("x @ https://a.example/${DB_PASSWORD}/x.zip", "variable DB_PASSWORD"),
    "variable of uv": ("x @ https://a.example/${PROJECT_ROOT}/x.zip", "variable PROJECT_ROOT"),
    "our own variable": ("${MODELYARD_WHEELS}/00/x-1.0-py3-none-any.whl", "variable MODELYARD_WHEELS"),
    "variable of a shell": ("x @ https://a.example/$HOME/x.zip", "'%24'"),
    "variable in a marker": ("\"numpy ; python_version < '${HOME}'\"", "variable HOME"),
    "wheel outside": ("/srv/x-1.0-py3-none-any.whl", "leaves the model folder"),
    "wheel upwards": ("sub/../../x-1.0-py3-none-any.whl", "leaves the model folder"),
    "source folder": ("./sub", "neither a wheel"),
    "wheel's strange name": ("./a;b.whl", "not in the model folder"),
    "wheel with a blank": ("./my wheel.whl", "not a package's file name"),
    "shell": ("$(id)", "begins a variable"),
    "backtick": ("'`id`'", "not a valid requirement"),
    "nested markers": ('"x ; ' + "(" * 3000 + '"', "not a valid|not a condition"),
    "long line": ("x" * 70_000, "longer than"),
    "long requirement": ("'x[" + "a," * 3000 + "a]'", "longer than"),
    "many blanks": ("'x" + " " * 60_000 + "y'", "longer than"),
    "many brackets": ("'./" + "[" * 4000 + "'", "not a valid|not in the model|not a path"),
}

FILES = {
    "conda with an alias": ({"conda.yaml": "x: &a [numpy]\ndependencies: [{pip: *a}]\n"}, "anchor or alias"),
    "conda nested deep": ({"conda.yaml": "dependencies: " + "[" * 10_000}, "deeper than 50"),
    "conda over 1 MB": ({"conda.yaml": "#" * (1 << 20) + "#"}, "1 MB"),
    "conda of tags": ({"conda.yaml": "!!python/object/apply:os.system [id]\n"}, "must be a mapping"),
    "conda package newline": ({"conda.yaml": 'dependencies: ["python=3.10\\n-r x"]\n'}, "must be text"),
    "conda package long": ({"conda.yaml": f"dependencies: [python={'=' * 5000}]\n"}, "must be text"),
    "python_env newline": (
        {"python_env.yaml": 'python: "3.10"\ndependencies: ["-r requirements.txt\\n-r /etc/passwd"]\n'},
        "U+000A",
    ),
    "python_env alias": ({"python_env.yaml": "python: &p 3.10\ndependencies: [*p]\n"}, "anchor or alias"),
    "python of shell": ({"python_env.yaml": "python: 3.10; id\n"}, "write a version like"),
    "python of digits": ({"python_env.yaml": f"python: '{'9' * 5000}.1'\n"}, "write a version like"),
    "requirements binary": ({"requirements.txt": "\udc80"}, "not UTF-8"),
    "requirements over 1 MB": ({"requirements.txt": "#" * (1 << 20) + "#"}, "1 MB"),
    "requirements NUL": ({"requirements.txt": "numpy\0\n"}, "U+0000"),
    "requirements escape": ({"requirements.txt": "\x1b]0;title\x07numpy\n"}, "U+001B"),
    "requirements of blanks": ({"requirements.txt": "x" + " " * 900_000 + "y"}, "longer than"),
    "requirements continued": ({"requirements.txt": "a\\\n" * 300_000}, "longer than"),
    "requirements multiplied": (
        {"requirements.txt": "-r a.txt\n" * 80, "a.txt": "-r b.txt\n" * 80, "b.txt": "numpy\n" * 80},
        "5000 lines",
    ),
    "requirements of options": ({"requirements.txt": "--index-url\n"}, "no value"),
    "no file": ({}, "no conda.yaml"),
}

MLMODELS = {
    "env outside": ("conda: /etc/passwd", "leaves the model folder"),
    "env upwards": ("conda: ../conda.yaml", "leaves the model folder"),
    "env newline": ('conda: "conda.yaml\\n"', "U+000A"),
    "env NUL": ('conda: "conda\\0.yaml"', "U+0000"),
    "env list": ("conda: [a]", "list or mapping"),
}


def folder_of(model_folder, files: dict[str, str], mlmodel: str = MLMODEL):
    folder = model_folder({"loop.txt": "-r loop.txt\n", "sub/x.txt": "numpy\n"}, mlmodel=mlmodel)
    make_wheel(folder, "mine").rename(folder / "my wheel.whl")
    for name, text in files.items():
        (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    return folder


def refusal_of(folder) -> str:
    started = time.process_time()
    with pytest.raises(InvalidRequest) as refusal:
        plan_environment(folder, parse_mlmodel((folder / "MLmodel").read_bytes()), PlanRules())
    assert time.process_time() - started < _MOST_SECONDS
    assert refusal.value.status == 400
    sentence = refusal.value.message
    assert sentence.isprintable()
    assert len(sentence) < 1000
    return sentence


@pytest.mark.parametrize(("line", "says"), PIP_LINES.values(), ids=PIP_LINES)
def test_hostile_pip_line_is_refused(model_folder, line, says):
    folder = folder_of(model_folder, {"conda.yaml": f"dependencies:\n- pip:\n  - {line}\n"})
    assert any(each in refusal_of(folder) for each in says.split("|"))


@pytest.mark.parametrize(("files", "says"), FILES.values(), ids=FILES)
def test_hostile_environment_file_is_refused(model_folder, files, says):
    assert says in refusal_of(folder_of(model_folder, files))


@pytest.mark.parametrize(("entry", "says"), MLMODELS.values(), ids=MLMODELS)
def test_hostile_environment_name_in_mlmodel_is_refused(model_folder, entry, says):
    mlmodel = MLMODEL.replace("conda: conda.yaml", entry)
    assert says in refusal_of(folder_of(model_folder, {"conda.yaml": "dependencies: []\n"}, mlmodel))


def test_link_to_a_file_outside_is_refused(model_folder):
    folder = folder_of(model_folder, {"conda.yaml": "dependencies: [{pip: [-r requirements.txt]}]\n"})
    os.symlink("/etc/passwd", folder / "requirements.txt")
    assert "leaves the model folder" in refusal_of(folder)


def test_allowed_variable_stays_a_name_in_the_plan(model_folder):
    """The value reaches uv alone: neither the lock nor the bundle has the value."""
    line = "--index-url https://${INDEX_TOKEN}@a.example/simple"
    folder = folder_of(model_folder, {"conda.yaml": f"dependencies: [{{pip: ['{line}', numpy]}}]\n"})
    rules = PlanRules(requirements=RequirementPolicy(variables=frozenset({"INDEX_TOKEN"})))
    spec = plan_environment(folder, parse_mlmodel(MLMODEL.encode()), rules).spec
    assert spec.sources.index_url == "https://${INDEX_TOKEN}@a.example/simple"


def test_host_of_the_operators_list_may_be_named(model_folder):
    line = "--index-url http://127.0.0.1:8000/simple"
    folder = folder_of(model_folder, {"conda.yaml": f"dependencies: [{{pip: ['{line}', numpy]}}]\n"})
    rules = PlanRules(requirements=RequirementPolicy(urls=UrlPolicy.parse("127.0.0.1")))
    spec = plan_environment(folder, parse_mlmodel(MLMODEL.encode()), rules).spec
    assert spec.sources.index_url == "http://127.0.0.1:8000/simple"


@pytest.mark.parametrize("line", [f"numpy\n-r {SECRET}", "numpy\0", "numpy\x85-r x"])
def test_requirement_of_several_lines_never_reaches_uv(tmp_path, line):
    uv = UvProgram(UvFolders(*(tmp_path / name for name in "abcde")), environ={}, pip=PipConfiguration())
    with pytest.raises(BuildFailed, match="not one line"):
        uv.compile(EnvironmentSpec("3.11", (line,)), tmp_path, None)
