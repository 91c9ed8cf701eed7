"""Throughput of object stores: client libraries, and the platform's adapters."""
