"""The packages of an environment as wheels in the object store, to make it again from on any machine."""
