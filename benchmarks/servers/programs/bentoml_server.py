"""A BentoML service; adaptive batching with MAX_BATCH_SIZE above 1."""

import os

import bentoml
import numpy as np
from served_model import ServedModel

_MAX_BATCH_SIZE = int(os.environ.get("MAX_BATCH_SIZE", "1"))
_API = {"batchable": True, "max_batch_size": _MAX_BATCH_SIZE} if _MAX_BATCH_SIZE > 1 else {}


@bentoml.service(workers=1)
class Predictor:
    def __init__(self):
        self._model = ServedModel()

    @bentoml.api(**_API)
    def score(self, rows: np.ndarray) -> list:
        return self._model.predict(rows)
