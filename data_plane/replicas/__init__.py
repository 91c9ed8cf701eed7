"""Library: runs models and scores requests.

- `port.py`: the protocols. A `Replica` scores requests, a `Runtime` starts and observes replicas, a `Launcher` starts
  exclusive replicas for batch.
- `artifacts/`: bundles, model files and environments on the node.
- `local/`: model workers as processes of the machine. A runtime for Kubernetes belongs in a sibling `kubernetes/`.

Only the `main.py` of a process imports `local`; all further code sees the protocols.
"""
