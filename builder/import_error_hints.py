"""The line to change in conda.yaml, from the traceback of a failed import."""

import re
from dataclasses import dataclass

DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "attr": "attrs",
    "dateutil": "python-dateutil",
    "google": "protobuf",
    "skimage": "scikit-image",
    "bs4": "beautifulsoup4",
    "imblearn": "imbalanced-learn",
    "category_encoders": "category-encoders",
    "sentence_transformers": "sentence-transformers",
    "dotenv": "python-dotenv",
    "jwt": "pyjwt",
    "git": "gitpython",
    "OpenSSL": "pyopenssl",
    "Crypto": "pycryptodome",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient",
    "fitz": "pymupdf",
    "onnxruntime": "onnxruntime",
    "azureml": "azureml-core",
    "pkg_resources": "setuptools<81",
    "pyspark": "pyspark",
}

# Modules removed from the standard library, with the last Python version of each.
_REMOVED = {"imp": "3.11", "asynchat": "3.11", "asyncore": "3.11", "smtpd": "3.11", "cgi": "3.12", "telnetlib": "3.12"}

_CONDA_PYTHON = re.compile(r"write python=([0-9.]+)")
_MISSING_MODULE = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
_MISSING_LIBRARY = re.compile(r"ImportError: (lib[\w.+-]+\.so[\w.]*): cannot open shared object file")

_KNOWN_ERRORS = (
    (
        r"numpy\.dtype size changed|compiled using NumPy 1\.x|_ARRAY_API not found|removed in the NumPy 2\.0"
        r"|numpy\.core\.multiarray failed to import|No module named 'numpy\.(?:rec|strings)'",
        'pin "numpy<2" under pip:, because a package was built for NumPy 1',
    ),
    (
        r"module 'numpy' has no attribute '(?:bool|int|float|object|str|complex|typeDict)'",
        'pin "numpy<1.24" under pip:, because a package uses names that NumPy 1.24 removed',
    ),
    (
        r"No module named 'numpy\._core",
        'pin "numpy>=2" under pip:, because a package was built for NumPy 2',
    ),
    (
        r"Descriptors cannot (?:not )?be created directly",
        'pin "protobuf<3.21" under pip:, because a package was generated for an older protobuf',
    ),
    (r"No module named 'distutils", 'add "setuptools<81" under pip:, or write python=3.11'),
    (
        r"module 'pkgutil' has no attribute 'ImpImporter'",
        "write python=3.11, which the listed packages support",
    ),
    (
        r"cannot import name '(?:Mapping|MutableMapping|Iterable|Callable|Sequence)' from 'collections'",
        "write python=3.9, which the listed packages support",
    ),
    (r"No module named 'pandas\.core\.indexes\.numeric'", 'pin "pandas<2" under pip:'),
    (r"cannot import name '\w+' from 'markupsafe'", 'pin "markupsafe<2.1" under pip:'),
    (r"cannot import name '\w+' from 'werkzeug", 'pin "werkzeug<3" under pip:'),
    (r"cannot import name '\w+' from 'jinja2'", 'pin "jinja2<3.1" under pip:'),
)


@dataclass(frozen=True, slots=True)
class ImportFailure:
    error: str
    """The exception, on a single line."""
    hint: str
    """The change to make, 'In conda.yaml: add "scikit-learn" under pip:'."""


def explain_import_error(output: str, file: str = "conda.yaml") -> ImportFailure:
    """Explain the traceback of a failed import; `file` is the environment file of the model."""
    return ImportFailure(_error(output), _in_words_of(file, _hint(output, file)))


def _error(output: str) -> str:
    found = re.findall(r"^(?:[A-Za-z_][\w.]*(?:Error|Exception|Warning)|SystemExit)\b.*$", output, re.MULTILINE)
    lines = [line for line in output.splitlines() if line.strip()]
    return str(found[-1] if found else lines[-1] if lines else "the interpreter ended without a message")[:500]


def _in_words_of(file: str, hint: str) -> str:
    """The hint for conda.yaml in the form of another environment file."""
    if file.endswith((".txt", ".in")):
        return _CONDA_PYTHON.sub(r"write python_version: '\1' in MLmodel", hint.replace(" under pip:", ""))
    if file.endswith("python_env.yaml"):
        return _CONDA_PYTHON.sub(r"write python: '\1'", hint.replace(" under pip:", " under dependencies:"))
    return hint


def _hint(output: str, file: str) -> str:
    library = _MISSING_LIBRARY.search(output)
    if library:
        return f"Install the system library that has {library[1]} on this machine: no package of {file} has the file"
    known = next((hint for pattern, hint in _KNOWN_ERRORS if re.search(pattern, output)), None)
    modules = _MISSING_MODULE.findall(output)
    return f"In {file}: {known or _hint_for_module(modules[-1] if modules else None)}"


def _hint_for_module(module: str | None) -> str:
    if module is None:
        return "pin the package of the failing import to the version that the model was trained with"
    top = module.partition(".")[0]
    if top in _REMOVED:
        return f"write python={_REMOVED[top]}, the last version that has the module {top!r}"
    if module.count(".") and top in {*DISTRIBUTIONS.values(), "mlflow", "pandas", "numpy"}:
        return f"pin {top!r} under pip: to the version that the model was trained with"
    return f'add "{DISTRIBUTIONS.get(top, top.replace("_", "-"))}" under pip:'
