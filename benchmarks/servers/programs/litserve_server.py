"""LitServe with one worker and one API server."""

import os

import litserve
from served_model import ServedModel


class Predictor(litserve.LitAPI):
    def setup(self, device):
        self._model = ServedModel()

    def decode_request(self, request):
        return request

    def predict(self, rows):
        return self._model.predict(rows)

    def encode_response(self, predictions):
        return predictions


if __name__ == "__main__":
    server = litserve.LitServer(Predictor(), accelerator="cpu", devices=1, workers_per_device=1, timeout=False)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), num_api_servers=1, generate_client_file=False)
