"""Metrics (counters, gauges, histograms) and the access log of a process."""
