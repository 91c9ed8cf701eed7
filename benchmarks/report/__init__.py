"""The report of a run: tables, plots, and the page of all results."""
