"""Backup of a running platform to one archive, and restore into an empty data dir or other servers.

archive.py         the format: numbered members of a tar file, read without trust
contents.py        the parts of the object store that belong to a backup
tables.py          every table of one database snapshot, as COPY data
references.py      objects that rows refer to
sealed_secrets.py  the platform's secrets, encrypted with a passphrase
place.py           a file or a URL
backup.py          `modelyard backup`
restore.py         `modelyard restore`
"""
