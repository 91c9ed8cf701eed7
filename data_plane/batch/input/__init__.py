"""Input files to chunks of rows: which files a job has, how a file is split, and how each format is read.

`listing` finds the files, `formats` tells their format, `spans` names what a mini-batch reads, `chunk_reader` reads a
span with the reader of its format. A new format adds one reader module and a row to `chunk_reader`.
"""
