"""From measurements to something that a person reads: a table, plots, and a page that says what they mean."""
