"""Object stores: which library moves bytes well, and our own adapters beside it."""
