"""robyn with the model in the handler: the bound for a hand-written server."""

import os

import orjson
from robyn import Response, Robyn
from served_model import ServedModel

app = Robyn(__file__)
model = ServedModel()
_HEADERS = {"content-type": "application/json"}


# A plain function would be called in a further thread.
@app.post("/score")
async def score(request):
    return Response(200, _HEADERS, orjson.dumps(model.predict(orjson.loads(request.body))))


if __name__ == "__main__":
    app.start(host="127.0.0.1", port=int(os.environ["PORT"]))
