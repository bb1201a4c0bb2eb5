"""The dashboard: HTML pages that a small script keeps up to date."""
