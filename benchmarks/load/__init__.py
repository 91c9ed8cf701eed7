"""The load: connections that send their next request when the last one is answered, from a process of their own."""
