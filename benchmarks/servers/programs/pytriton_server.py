"""PyTriton: Triton Inference Server in front of a Python function, with Triton's dynamic batching."""

import os

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig
from served_model import ServedModel

model = ServedModel()


@batch
def predict(rows):
    if model.selects_by_name:
        rows = np.char.decode(rows.astype(np.bytes_), "utf-8")
    return [np.asarray(model.predict(rows)).reshape(-1, 1)]


if __name__ == "__main__":
    kind, result = (np.bytes_, np.int64) if model.selects_by_name else (np.float64, np.float64)
    config = TritonConfig(
        http_address="127.0.0.1", http_port=int(os.environ["PORT"]), allow_grpc=False, allow_metrics=False
    )
    with Triton(config=config, workspace=os.environ["TRITON_FOLDER"]) as triton:
        triton.bind(
            model_name="model",
            infer_func=predict,
            inputs=[Tensor(name="rows", dtype=kind, shape=(-1,))],
            outputs=[Tensor(name="predictions", dtype=result, shape=(1,))],
            config=ModelConfig(batching=True, max_batch_size=1024, batcher=DynamicBatcher()),
        )
        triton.serve()
