"""`GET /{endpoint}/swagger.json`: the requests and answers of a deployment, by its signature and its input example.

`schemas.py` makes JSON schemas of a signature, `bodies.py` of whole bodies. `document.py` adds the operations,
`dialect.py` translates to one of three versions, and `serving.py` answers.
"""
