"""The protocols that every endpoint speaks, one module or folder each: how its bodies are read and answered."""
