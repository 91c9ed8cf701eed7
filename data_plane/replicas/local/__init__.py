"""Model workers as processes of the machine: started under a process shim, reached over Unix sockets."""
