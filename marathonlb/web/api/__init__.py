"""The endpoints for programs: status, services, problems, metrics, events and health."""
