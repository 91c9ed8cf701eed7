"""The input that a model receives and the result that a model returns, as columns, tensors or JSON."""
