"""Scoring requests and results: payloads, wire form, signature, tables, codecs. No process, no database."""
