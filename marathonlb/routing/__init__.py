"""What should be offered, and by which rule. Everything here is pure."""
