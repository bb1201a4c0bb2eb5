"""Tests of marathonlb.options, module by module."""
