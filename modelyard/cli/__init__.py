"""The command line: az ml's nouns, verbs and flags. Results alone on standard output, everything else beside it."""
