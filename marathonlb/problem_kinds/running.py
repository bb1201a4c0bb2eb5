"""Kinds of problems of what runs: the quarantine (MLB-7..), and the controller, Marathon and HAProxy (MLB-9..)."""

from __future__ import annotations

from marathonlb.problem_kinds.kind import Category, ProblemKind

SERVICE_REFUSED = ProblemKind(
    code="MLB-701",
    slug="service-refused",
    category=Category.QUARANTINE,
    title="HAProxy refuses a service's text",
    meaning="HAProxy names a line that a label of this service, or the service's part of a template, writes.",
    meanwhile="Its last accepted text stays in use, with the current tasks; without one the service is left out.",
    remedy="Correct the label that the problem names; the problem contains HAProxy's message.",
)
SERVICE_FAILS = ProblemKind(
    code="MLB-702",
    slug="service-fails",
    category=Category.QUARANTINE,
    title="HAProxy fails with a service's text",
    meaning="With this service HAProxy hangs, is killed or does not start, and names no line. A search found it.",
    meanwhile="Its last good text stays in use; without one the service is left out. It is retried periodically.",
    remedy="Undo the last change of the app; look for lookups, large files or many ports in its labels.",
)
SERVICE_SUSPECTED = ProblemKind(
    code="MLB-703",
    slug="service-suspected",
    category=Category.QUARANTINE,
    title="A service may be why HAProxy fails",
    meaning="HAProxy failed without naming a line, and this is one of the services that had changed.",
    meanwhile="Its last good text stays in use during the search; without one the service is left out.",
    remedy="Wait for the search, which ends within minutes; then MLB-702 names the service that is to blame.",
)

PINNED = ProblemKind(
    code="MLB-901",
    slug="pinned",
    category=Category.PIN,
    title="An earlier configuration is pinned",
    meaning="An operator went back to an earlier configuration with `--rollback`, the API or the dashboard.",
    meanwhile="HAProxy runs that configuration with the current tasks; other changes wait.",
    remedy="Release it with `--rollback 0` when the cause is solved (docs/rollback.md).",
)
USAGE = ProblemKind(
    code="MLB-902",
    slug="usage",
    category=Category.FAILURE,
    title="An option is not valid",
    meaning="An option, an environment variable or a file that an option names has an invalid value.",
    meanwhile="The controller does not start; HAProxy keeps serving.",
    remedy="Correct the option; docs/options.md lists what each takes.",
)
MARATHON = ProblemKind(
    code="MLB-903",
    slug="marathon",
    category=Category.FAILURE,
    title="Marathon does not answer, or its answer cannot be used",
    meaning="The connection fails, the status is an error, or the answer is incomplete or unlikely.",
    meanwhile="The last known state is served. The next Marathon of `--marathon` is tried, with back-off.",
    remedy="Check Marathon, the network and `--marathon`; check the credentials if the status is 401 or 403.",
)
CONFIGURATION_REFUSED = ProblemKind(
    code="MLB-904",
    slug="configuration-refused",
    category=Category.FAILURE,
    title="HAProxy refuses the configuration",
    meaning="`haproxy -c` refuses the configuration, and no service or template can be left out instead.",
    meanwhile="HAProxy keeps its configuration. The next attempt follows with back-off.",
    remedy="Read HAProxy's message; `--dry` prints the configuration that was refused.",
)
TEMPLATES_HOLD = ProblemKind(
    code="MLB-905",
    slug="templates-hold",
    category=Category.FAILURE,
    title="An operator's template prevents changes",
    meaning="HAProxy refuses a text with which it runs, for example because a file that it names has changed.",
    meanwhile="HAProxy keeps its configuration, with the current tasks.",
    remedy="Correct the template or the file that it names.",
)
SERVICES_REFUSED = ProblemKind(
    code="MLB-906",
    slug="services-refused",
    category=Category.FAILURE,
    title="An invalid service prevents the whole update",
    meaning="With `--skip-config-cleanup` one invalid service prevents every change.",
    meanwhile="HAProxy keeps its configuration.",
    remedy="Correct the service that is named, or leave `--skip-config-cleanup` out.",
)
RELOAD_FAILED = ProblemKind(
    code="MLB-907",
    slug="reload-failed",
    category=Category.FAILURE,
    title="A reload of HAProxy failed",
    meaning="HAProxy accepted the configuration, but did not start with it, or the reload command failed.",
    meanwhile="The old process keeps serving; the previous files are restored if the new ones are not in use.",
    remedy="Read HAProxy's message: often another process uses a port, or a limit is reached.",
)
PUBLISH_FAILED = ProblemKind(
    code="MLB-908",
    slug="publish-failed",
    category=Category.FAILURE,
    title="The configuration cannot be written",
    meaning="The disk is full, or the directory cannot be written.",
    meanwhile="HAProxy keeps its configuration; the files stay intact.",
    remedy="Free disk space, or correct the permissions of the directory that is named.",
)
HAPROXY_UNAVAILABLE = ProblemKind(
    code="MLB-909",
    slug="haproxy-unavailable",
    category=Category.FAILURE,
    title="HAProxy cannot be run, or does not answer",
    meaning="The program is missing or too old, does not start, or its socket does not answer.",
    meanwhile="A running HAProxy keeps serving; changes wait.",
    remedy="Check `--haproxy`, HAProxy's log and the sockets in the state directory.",
)
ALREADY_RUNNING = ProblemKind(
    code="MLB-910",
    slug="already-running",
    category=Category.FAILURE,
    title="Another controller is running",
    meaning="Another process has locked the state directory or the configuration's directory.",
    meanwhile="The other controller continues; this one ends.",
    remedy="Stop the other one, or give this one its own `--state-dir` and `--haproxy-config`.",
)
CHECK_FAILED = ProblemKind(
    code="MLB-911",
    slug="check-failed",
    category=Category.FAILURE,
    title="HAProxy's check has no result",
    meaning="`haproxy -c` did not end in time, was killed, or ended without a message.",
    meanwhile="HAProxy keeps its configuration. If services have changed, the one to blame is searched (MLB-703).",
    remedy="Look at the memory and the load of the machine, and for host names or large files in the configuration.",
)
DAEMON_UNREACHABLE = ProblemKind(
    code="MLB-912",
    slug="daemon-unreachable",
    category=Category.FAILURE,
    title="No controller answers on its socket",
    meaning="The script asks the daemon of this machine by its state directory, and there is none.",
    meanwhile="HAProxy keeps serving.",
    remedy="Name the daemon's `--state-dir`, run the script as a user who may use its socket, or start the daemon.",
)
DAEMON_REFUSED = ProblemKind(
    code="MLB-913",
    slug="daemon-refused",
    category=Category.FAILURE,
    title="The controller refuses a request",
    meaning="The daemon answered the script with an error, which gives the reason.",
    meanwhile="Nothing has changed.",
    remedy="Follow the error message; requests that change something may need `--admin-token`.",
)

KINDS = (
    SERVICE_REFUSED,
    SERVICE_FAILS,
    SERVICE_SUSPECTED,
    PINNED,
    USAGE,
    MARATHON,
    CONFIGURATION_REFUSED,
    TEMPLATES_HOLD,
    SERVICES_REFUSED,
    RELOAD_FAILED,
    PUBLISH_FAILED,
    HAPROXY_UNAVAILABLE,
    ALREADY_RUNNING,
    CHECK_FAILED,
    DAEMON_UNREACHABLE,
    DAEMON_REFUSED,
)
