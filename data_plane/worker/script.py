"""The user's scoring script: `score.py` in the bundle, with `init()` and `run(input_data, params=None)`."""

import importlib.util
import inspect
import os
import sys
from types import ModuleType
from typing import Any, Callable, Dict, Optional

SCRIPT = "score.py"
MODULE = "score"

# MLflow's scoring server sets the variable after loading the model; type hints then read text as datetime or bytes.
_IN_SERVING = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"


class ScriptError(Exception):
    """The scoring script is missing or lacks a function."""


class Script:
    """A loaded scoring script. The constructor calls `init`, which loads the model."""

    def __init__(self, bundle_dir: str) -> None:
        self.module = _import(bundle_dir)
        init = _function(self.module, "init")
        self._run = _function(self.module, "run")
        self._takes_params = _accepts(self._run, "params")
        init()
        os.environ.setdefault(_IN_SERVING, "true")

    def run(self, input_data: Any, params: Optional[Dict[str, Any]]) -> Any:
        if self._takes_params:
            return self._run(input_data, params=params)
        return self._run(input_data)


def _import(bundle_dir: str) -> ModuleType:
    path = os.path.join(bundle_dir, SCRIPT)
    spec = importlib.util.spec_from_file_location(MODULE, path)
    if spec is None or spec.loader is None or not os.path.isfile(path):
        raise ScriptError("there is no scoring script at {}".format(path))
    # A customised script may import modules from its folder.
    sys.path.insert(0, bundle_dir)
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    # The bundle is shared and must not get bytecode files.
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes_bytecode
    return module


def _function(module: ModuleType, name: str) -> Callable[..., Any]:
    function = getattr(module, name, None)
    if not callable(function):
        raise ScriptError("{} does not define a function {}()".format(module.__file__, name))
    checked: Callable[..., Any] = function
    return checked


def _accepts(function: Callable[..., Any], parameter: str) -> bool:
    parameters = inspect.signature(function).parameters
    takes_any_keyword = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    return parameter in parameters or takes_any_keyword
