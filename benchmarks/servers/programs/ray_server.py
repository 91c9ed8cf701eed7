"""Ray Serve with one replica: the body is read from Starlette's request, and orjson reads and writes it."""

import os
import signal

import orjson
import ray
from ray import serve
from served_model import ServedModel
from starlette.requests import Request
from starlette.responses import Response


@serve.deployment(num_replicas=1, max_ongoing_requests=256)
class Predictor:
    def __init__(self):
        self._model = ServedModel()

    async def __call__(self, request: Request) -> Response:
        rows = orjson.loads(await request.body())
        return Response(orjson.dumps(self._model.predict(rows)), media_type="application/json")


if __name__ == "__main__":
    ray.init(include_dashboard=False, _temp_dir=os.environ["RAY_FOLDER"])
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
    serve.run(Predictor.bind(), route_prefix="/score")
    signal.pause()
