"""Model workers on this machine: started under a process shim, reached over Unix sockets."""
