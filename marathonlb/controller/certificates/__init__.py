"""The certificates and other files that settings and labels name: who may name them, and what their owners are told."""
