"""mosec: JSON by orjson, one worker process; batches with MAX_BATCH_SIZE above 1."""

import os

import orjson
from mosec import Server, Worker
from served_model import ServedModel

_MAX_BATCH_SIZE = int(os.environ.get("MAX_BATCH_SIZE", "1"))
_MAX_WAIT_MILLISECONDS = int(os.environ.get("MAX_WAIT_MILLISECONDS", "0"))


class Predictor(Worker):
    def __init__(self):
        super().__init__()
        self._model = ServedModel()

    def deserialize(self, data):
        return orjson.loads(data)

    def serialize(self, data):
        return orjson.dumps(data)

    def forward(self, data):
        return self._model.predict(data) if _MAX_BATCH_SIZE == 1 else self._model.predict_requests(data)


if __name__ == "__main__":
    server = Server()
    server.append_worker(Predictor, num=1, max_batch_size=_MAX_BATCH_SIZE, max_wait_time=_MAX_WAIT_MILLISECONDS)
    server.run()
