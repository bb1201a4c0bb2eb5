"""The templates of the configuration: their table, the operator's overrides, and their variables."""
