"""Files on the disk: written durably, locked, and read without blocking the reactor."""
