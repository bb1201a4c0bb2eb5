"""The labels of an app: their table, and the values that they hold. Pure."""
