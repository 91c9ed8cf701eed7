"""az ml's v2 YAML: files, references to registered assets, and one table of fields for each noun."""
