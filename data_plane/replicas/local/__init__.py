"""Model workers as processes of this machine: started under a process shim, reached over Unix sockets."""
