"""The certificates and other files that settings and labels name: who may name them, and the problems with them."""
