"""Reading what a model declares about its environment. Pure: model files in, values out, nothing installed."""
