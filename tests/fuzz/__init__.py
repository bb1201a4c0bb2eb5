"""One hostile app among plain ones: random labels, and an oracle that reads the files the way HAProxy does."""
