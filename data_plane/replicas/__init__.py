"""Library: what runs a model and scores requests with it.

- `port.py`: the protocols. A `Replica` scores requests, a `Runtime` starts and observes replicas, a `Launcher` starts
  replicas for one caller alone (batch).
- `artifacts/`: bundles, model files and environments on this node.
- `local/`: model workers as processes of this machine. A runtime for Kubernetes belongs beside it, in `kubernetes/`.

Only `main.py` of a process imports `local`; all other code sees the protocols.
"""
