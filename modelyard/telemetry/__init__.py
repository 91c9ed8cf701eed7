"""What a process tells about its work: metrics (counters, gauges, histograms) and an access log."""
