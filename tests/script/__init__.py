"""Tests of the script's wing."""
