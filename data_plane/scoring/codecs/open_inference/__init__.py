"""The Open Inference Protocol, version 2, below each endpoint: what MLServer's, KServe's and Triton's clients speak.

`paths.py` and `choosing.py` find the deployment that a path means; `server_facts.py` answers what is no scoring;
`envelope.py` takes an infer request through `infer_request.py` (tensors from JSON and from binary data) and
`model_input.py` (what the signature makes of them), and its answer through `outputs.py` and `infer_response.py`.
"""
