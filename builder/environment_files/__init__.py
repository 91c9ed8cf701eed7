"""Read a model's environment files. Pure: model files in, an environment spec out, no package installed."""
