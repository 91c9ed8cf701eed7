"""KServe's SDK with the first protocol: the handler is called in the event loop."""

from kserve import Model, ModelServer
from served_model import ServedModel


class Predictor(Model):
    def __init__(self):
        super().__init__("model")
        self._model = ServedModel()
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        return {"predictions": self._model.predict(payload["instances"])}


if __name__ == "__main__":
    ModelServer().start([Predictor()])
