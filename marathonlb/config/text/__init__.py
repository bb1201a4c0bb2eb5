"""The text of HAProxy's configuration as values: sections, their lines, and what differs between two of them. Pure."""
