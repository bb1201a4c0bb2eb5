"""HAProxy's processes: the binary, the supervisor, the master process, and reload commands."""
