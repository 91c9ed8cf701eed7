"""Makes what runs match what is wanted, and tells the gateways."""
