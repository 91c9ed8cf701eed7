"""`GET /{endpoint}/swagger.json`: what a deployment takes and answers, by its signature and its input example.

`schemas.py` makes JSON schemas of a signature, `bodies.py` those of whole requests and answers, `document.py` puts the
operations around them, `dialect.py` says in what the three versions differ, and `serving.py` answers.
"""
