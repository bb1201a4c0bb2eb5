"""
The work of ``marathon-update-haproxy``: one run, ``--status``, ``--diff``, ``--explain`` and ``--rollback``.

Each kind of work imports what it needs when it is asked for. Nothing here imports the global reactor.
"""
