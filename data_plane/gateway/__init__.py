"""The scoring front door: keys, traffic, limits, the signature, and a model's result, over HTTP.

The gateway knows the routing snapshot and no database or broker, so that scoring goes on while the rest of the platform
is down.

`main.py` wires a process together. `http_protocol.py` and `whole_answers.py` are the connection's side.
`app.py` and `routes.py` take a request (`request.py`) to its handler: `score_request.py`, `health.py`, `metadata/`,
`swagger/`. `snapshot_watcher.py` feeds `routing_table.py`. `upstream.py` is the port to the replicas that answer, and
`errors.py` maps every error to a status. Payloads and protocols are in `data_plane/scoring`, model workers in
`data_plane/replicas`.
"""
