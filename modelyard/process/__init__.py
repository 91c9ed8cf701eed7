"""What the platform's long-running processes have in common: they end with their supervisor, and serve as it says."""
