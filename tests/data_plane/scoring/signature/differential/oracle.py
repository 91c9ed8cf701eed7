# ruff: noqa: E402, BLE001 - imports need the path from the command line, and MLflow raises any exception
"""Return the model's input by MLflow's scoring server and by the model worker, for the same request.

Runs in a separate environment with one version of MLflow. Protocol: one JSON line per request, one per answer.
"""

import base64
import datetime
import json
import os
import sys
import warnings

replies = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
sys.path.insert(0, sys.argv[1])
warnings.simplefilter("ignore")

import numpy as np
import pandas as pd
from mlflow.models.utils import _enforce_params_schema, _enforce_schema
from mlflow.types.schema import ParamSchema, Schema
from mlflow.utils.proto_json_utils import dataframe_from_parsed_json, parse_tf_serving_input

from data_plane.worker.frames import FrameReader, unpack_meta
from data_plane.worker.inputs import read_input, read_params


def of_mlflow(case):
    try:
        schema = schema_of(case["inputs"]) if case["inputs"] else None
        params_schema = ParamSchema.from_json(case["params"]) if case["params"] else None
    except Exception as error:
        return {"unknown": repr(error)}
    try:
        data = parsed(case["envelope"], json.loads(case["body"]), schema)
        enforced = _enforce_schema(data, schema) if schema is not None else data
        params = _enforce_params_schema(json.loads(case["given_params"]), params_schema)
        return {"held": described(enforced), "params": cell(params) if params_schema else None}
    except Exception as error:
        return {"refused": repr(error)[:300]}


def schema_of(inputs):
    try:
        return Schema.from_json(inputs)
    except TypeError:
        # Early MLflow 2 wrote "optional" in place of "required".
        entries = [{**entry, "optional": not entry.pop("required", True)} for entry in json.loads(inputs)]
        return Schema.from_json(json.dumps(entries))


def parsed(envelope, value, schema):
    if envelope in ("inputs", "instances"):
        return parse_tf_serving_input({envelope: value}, schema=schema)
    if envelope == "unwrapped":
        return value
    return dataframe_from_parsed_json(value, pandas_orient=envelope[len("dataframe_") :], schema=schema)


def of_ours(frame):
    if frame is None:
        return None
    (read,) = FrameReader().feed(base64.b64decode(frame))
    meta = unpack_meta(read.meta)
    return {"held": described(read_input(meta["payload"], read.body)), "params": cell(read_params(meta))}


def described(value):
    if isinstance(value, pd.DataFrame):
        columns = [
            [str(name), str(value.dtypes.iloc[place]), [cell(entry) for entry in value.iloc[:, place].array]]
            for place, name in enumerate(value.columns)
        ]
        return {"frame": columns, "rows": len(value)}
    if isinstance(value, np.ndarray):
        return {"array": str(value.dtype), "shape": value.shape, "cells": [cell(entry) for entry in value.reshape(-1)]}
    if isinstance(value, dict) and value and all(isinstance(entry, np.ndarray) for entry in value.values()):
        return {"arrays": {name: described(entry) for name, entry in value.items()}}
    return {"json": cell(value)}


def cell(value):
    if isinstance(value, np.ndarray):
        return ["ndarray", str(value.dtype), [cell(entry) for entry in value]]
    if isinstance(value, (list, tuple)):
        return ["list", [cell(entry) for entry in value]]
    if isinstance(value, dict):
        return ["dict", sorted([key, cell(entry)] for key, entry in value.items())]
    if value is None or value is pd.NaT or value is getattr(pd, "NA", None):
        return ["none"]
    if isinstance(value, (pd.Timestamp, np.datetime64, datetime.datetime, datetime.date)):
        return ["moment", str(pd.Timestamp(value).value)] if not pd.isnull(value) else ["none"]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return ["float", value.hex()]
    return [type(value).__name__, value.hex() if isinstance(value, bytes) else str(value)]


for line in sys.stdin:
    case = json.loads(line)
    answer = {"mlflow": of_mlflow(case), "ours": of_ours(case["frame"])}
    replies.write(json.dumps(answer) + "\n")
    replies.flush()
