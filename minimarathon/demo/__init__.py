"""The demonstration, ``make run``: minimarathon with sample apps, marathon-lb and its HAProxy on this machine."""
