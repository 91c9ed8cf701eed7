"""Input files to chunks of rows: list the files, split large files, read each format.

`listing` finds the files, `formats` tells the format, `spans` names files and parts of files, `chunk_reader` reads a
span with the reader of the format. A new format adds a reader module and a row in `chunk_reader`.
"""
