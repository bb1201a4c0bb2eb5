"""A one-machine Marathon: its API, its events and real local processes, for demonstrations and tests."""
