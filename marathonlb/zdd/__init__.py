"""``marathon-lb-zdd``: replaces an app by its next version without an interruption, as a blue/green pair."""
