"""A closed-loop load generator in a separate process: each connection sends a request after the last response."""
