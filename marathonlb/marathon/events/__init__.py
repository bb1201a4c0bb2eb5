"""The sources of hints: Marathon's event stream, its callback, and polling."""
