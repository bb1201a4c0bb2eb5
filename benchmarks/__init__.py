"""The figures: ``make bench``. Nothing here is part of what is installed."""
