"""az ml's v2 YAML, read as it is: files, references to registered assets, and a table of fields for each noun."""
