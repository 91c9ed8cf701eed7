"""The command line, with the nouns, verbs and flags of az ml.

Results go to standard output, progress and notes to standard error.
"""
