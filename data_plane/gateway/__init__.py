"""The scoring front door: keys, traffic, limits, the signature, and an answer from a model, over HTTP.

It knows the routing snapshot and nothing else, no database and no broker, so that scoring goes on while the rest of
the platform is down.

`main.py` wires a process together. `http_protocol.py` and `server.py` are the connection's side, `app.py` and
`routes.py` take a request to its handler (`score.py`, `health.py`). `snapshot_watcher.py` feeds `routing_table.py`.
`target.py` is the port to whatever scores; `workers/` is the one that speaks to model workers of this machine.
"""
