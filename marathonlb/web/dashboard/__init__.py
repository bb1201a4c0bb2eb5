"""The dashboard: pages for people, rendered here and kept up to date by a little script."""
