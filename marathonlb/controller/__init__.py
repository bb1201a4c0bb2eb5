"""The controller: plans what HAProxy should run, has it applied, and records what happened."""
