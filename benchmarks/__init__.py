"""`make bench`: the gateway and comparable servers with the same models, on one machine, alternating in one run."""
