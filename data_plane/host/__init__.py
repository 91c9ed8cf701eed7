"""The host process: wanted state from the database, observed state from the runtime, and the actions between them.

The host also publishes the routing snapshot for the gateways and ships the workers' logs.
"""
