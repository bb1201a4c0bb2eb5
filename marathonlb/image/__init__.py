"""
The start of a container: from ``docker-entrypoint MODE [options]`` to a controller that is kept running.

`start` decides, purely, what is to be written and run; `entrypoint` does it and becomes `supervise`, the container's
first process, which starts the controller, starts it again, and drains HAProxy at the end. `templates`, `certificate`
and `sysctls` are what it needs for that. `healthcheck` is the image's ``HEALTHCHECK``.
"""
