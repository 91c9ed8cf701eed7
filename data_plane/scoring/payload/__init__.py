"""A model's input and result, as columns, tensors or JSON."""
