"""The packages of an environment as wheels in the object store, from which any machine restores it."""
