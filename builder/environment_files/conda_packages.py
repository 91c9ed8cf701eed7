"""Conda packages outside the pip section: parts of conda's own Python, and packages to move to the pip section."""

import re
from dataclasses import dataclass

# conda.yaml must list pip to have a pip section. The platform installs without pip, setuptools and wheel.
INSTALLERS = frozenset({"pip", "setuptools", "wheel"})
# `conda env export` lists the libraries of conda's Python. The platform's interpreters have libraries of their own.
_PARTS_OF_PYTHON = re.compile(
    r"_libgcc_mutex|_openmp_mutex|bzip2|ca-certificates|expat|ld_impl_[a-z0-9-]+|libexpat|libffi|libgcc(-ng)?"
    r"|libgomp|liblzma|libnsl|libsqlite|libstdcxx(-ng)?|libuuid|libxcrypt|libzlib|m2w64-[a-z0-9-]+|msys2-conda-epoch"
    r"|ncurses|openssl|python_abi|readline|sqlite|tk|ucrt|vc|vc14_runtime|vs2015_runtime|xz|zlib"
)
# Names that differ between conda and the Python package index.
NAMES_ON_THE_INDEX = {
    "dask-core": "dask",
    "graphviz": None,
    "keras-base": "keras",
    "lightgbm-gpu": "lightgbm",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "opencv": "opencv-python-headless",
    "py-opencv": "opencv-python-headless",
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost",
    "py-xgboost-gpu": "xgboost",
    "pyqt": "PyQt5",
    "pytables": "tables",
    "python-graphviz": "graphviz",
    "python-kaleido": "kaleido",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "tensorflow-base": "tensorflow",
    "tensorflow-gpu": "tensorflow",
    # Libraries and programs without a package on the index.
    "blas": None,
    "cudatoolkit": None,
    "cudnn": None,
    "intel-openmp": None,
    "libblas": None,
    "libcblas": None,
    "libgdal": None,
    "libgfortran": None,
    "libgfortran-ng": None,
    "libgfortran5": None,
    "liblapack": None,
    "libopenblas": None,
    "libxgboost": None,
    "llvm-openmp": None,
    "mkl": None,
    "nomkl": None,
    "openjdk": None,
    "pytorch-cuda": None,
    "pytorch-mutex": None,
    "r-base": None,
}
_VERSION = re.compile(r"[0-9][\w.!]*")


@dataclass(frozen=True, slots=True)
class CondaPackage:
    name: str
    version: str
    """The text after the name, "=1.21.2=py39h0_1" for example."""
    written: str
    line: int

    @property
    def is_part_of_python(self) -> bool:
        return bool(_PARTS_OF_PYTHON.fullmatch(self.name))

    @property
    def pip_line(self) -> str | None:
        """The package's line in a pip section. None: the index has no such package."""
        name = NAMES_ON_THE_INDEX.get(self.name, self.name)
        return None if name is None else f"{name}{pip_version(self.version)}"


def pip_version(text: str) -> str:
    """The specifier in pip's notation of conda's "=1.21.2=py39h0_1", "=1.21", " 1.21.*" or ">=1,<2"."""
    text = text.strip().replace(", ", ",")
    if text[:1] in {">", "<", "!", "~"}:
        return "" if "|" in text else text.replace("> ", ">").replace("= ", "=").split(" ")[0]
    exact = text.startswith("==") or text.count("=") > 1
    version = _VERSION.match(text.lstrip("= "))
    if version is None:
        return ""
    number = version[0].rstrip(".")
    whole = exact or (number.count(".") > 1 and not text.endswith("*"))
    return f"=={number}" if whole else f"=={number}.*"
