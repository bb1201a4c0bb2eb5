"""The kinds of problems: a stable code for each, what it means, what is served meanwhile and what to do."""
