"""The packages of an environment as wheels in the object store, for any machine to restore the environment."""
