"""The environment variables of a worker: nothing of the platform's, what a program needs, and the user's own."""

from collections.abc import Mapping
from pathlib import Path

_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_USER = "modelyard"


def environment_of_worker(
    *, python: Path, folder: Path, model_dir: Path, threads: int, chosen: Mapping[str, str]
) -> dict[str, str]:
    """The deployment's own variables come last: user code is the user's."""
    return {
        "PATH": f"{python.parent}:{_SYSTEM_PATH}",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "USER": _USER,
        "LOGNAME": _USER,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
        **dict.fromkeys(_THREAD_VARIABLES, str(threads)),
        "AZUREML_MODEL_DIR": str(model_dir),
        "AZUREML_ENTRY_SCRIPT": "score.py",
        **chosen,
    }
