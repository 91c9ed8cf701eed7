"""`make bench`: the gateway and its peers, with the same models, on one machine, in one run, taking turns."""
