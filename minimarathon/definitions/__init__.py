"""App definitions: reading, comparing and writing Marathon's JSON."""
