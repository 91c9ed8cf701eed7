"""The Open Inference Protocol, version 2, below each endpoint, for clients of MLServer, KServe and Triton.

`paths.py` reads the model that a path names. `codec.py` takes an infer request through `infer_request.py` (tensors from
JSON and from binary data) and `model_input.py` (tensors by the signature), and a result through `outputs.py` and
`infer_response.py`.
"""
