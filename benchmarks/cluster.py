"""
A generated cluster in the format of Marathon 1.5 and later.

Each app is generated from the seed and its index, so the first thousand apps of two sizes are the same. Documents have
the size of real ones, about 900 bytes per task. All addresses are in the loopback network (``127.0.0.0/8``); at each
task's address and port `benchmarks.responders` responds.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
from attrs import define, frozen

HOSTS = 240
PORTS = (30100, 30101)
"""The ports of each host. Host and port are a place, and tasks of several apps share one."""

FIRST_OWN_PORT = 30200
FIRST_SERVICE_PORT = 20000
GROUP = "external"
CHECKED_EVERY = 20
"""
One app in this number has HTTP health checks, which HAProxy runs too; the others have command checks.

HAProxy needs a file descriptor for each checked server and for each port; not every machine allows 110,000.
"""

_encode = msgspec.json.encode


@frozen
class Shape:
    """
    The size of a cluster, its seed and its network.

    :param network: the first three numbers of all addresses, in ``127.0.0.0/8``; separates parallel runs.
    :param mortal: number of apps, from the first, whose tasks have separate places that close when the task ends; every
        other one of them, from the first, binds its clients to a task by a cookie.
    """

    apps: int
    tasks: int
    seed: int = 1
    network: str = "127.77.0"
    mortal: int = 0

    def __str__(self) -> str:
        return f"{self.apps:,} × {self.tasks}"

    @property
    def files(self) -> int:
        """Minimum number of file descriptors for HAProxy: one per port, one per checked server, and some more."""
        return self.apps + self.tasks * -(-self.apps // CHECKED_EVERY) + 600

    @property
    def frontend(self) -> str:
        """The address that HAProxy binds."""
        return f"{self.network}.1"

    @property
    def own(self) -> int:
        """Number of tasks with separate places at the start; these places follow the shared ones."""
        return min(self.mortal, self.apps) * self.tasks

    def place(self, number: int) -> tuple[str, int]:
        """Return the address and port of the nth place: a shared or a separate one."""
        if number < HOSTS * len(PORTS):
            return f"{self.network}.{10 + number // len(PORTS)}", PORTS[number % len(PORTS)]
        row, host = divmod(number - HOSTS * len(PORTS), HOSTS)
        return f"{self.network}.{10 + host}", FIRST_OWN_PORT + row

    @property
    def places(self) -> list[tuple[str, int]]:
        """The places that tasks of different apps share."""
        return [self.place(number) for number in range(HOSTS * len(PORTS))]


@frozen
class BenchmarkTask:
    """A task: its place, and its part of the app's document."""

    id: str
    place: int
    piece: bytes


@define
class BenchmarkApp:
    """
    An app: its encoded definition and its tasks.

    :param head: the document up to the tasks.
    """

    id: str
    host: str
    version: str
    head: bytes
    tasks: list[BenchmarkTask]

    @property
    def document(self) -> bytes:
        """The app's JSON document."""
        return b'%b,"tasks":[%b]}' % (self.head, b",".join(task.piece for task in self.tasks))


@frozen
class Replaced:
    """
    A replaced task.

    :param address: ``host:port`` of the new task, which is also its response.
    :param events: Marathon's events about it, each as JSON.
    """

    app: BenchmarkApp
    address: str
    events: tuple[bytes, ...]


@frozen
class Arrived:
    """
    A new app.

    :param port: its service port.
    :param events: Marathon's events about its tasks, each as JSON.
    """

    app: BenchmarkApp
    port: int
    events: tuple[bytes, ...]


class Cluster:
    """
    The state of the generated Marathon.

    :raises ValueError: if there are not enough places for the tasks of one app.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.places = shape.places
        if shape.tasks >= len(self.places):
            raise ValueError(f"an app can have at most {len(self.places) - 1} tasks")
        self._random = Random(shape.seed)
        self._own = shape.own
        self.apps = [self._make(index) for index in range(shape.apps)]
        self.by_id = {app.id: app for app in self.apps}

    def all_apps(self) -> bytes:
        """Return the response of ``/v2/apps``."""
        return b'{"apps":[%b]}' % b",".join([app.document for app in self.apps])

    def one_app(self, app_id: str) -> bytes | None:
        """Return the response of ``/v2/apps/{id}``; None for an unknown app."""
        app = self.by_id.get(app_id)
        return None if app is None else b'{"app":%b}' % app.document

    def replace(self, index: int) -> Replaced:
        """Replace a task of the nth app by one at a place that none of the app's tasks uses."""
        app = self.apps[index % len(self.apps)]
        slot = self._random.randrange(len(app.tasks))
        old = app.tasks[slot]
        new = app.tasks[slot] = self._task_at_free_place(app)
        host, port = self.shape.place(new.place)
        events = (self.event(app, old, "TASK_KILLED"), self.event(app, new, "TASK_RUNNING"))
        return Replaced(app, f"{host}:{port}", events)

    def arrive(self) -> Arrived:
        """Add the next app."""
        index = len(self.apps)
        app = self._make(index)
        self.apps.append(app)
        self.by_id[app.id] = app
        events = tuple(self.event(app, task, "TASK_RUNNING") for task in app.tasks)
        return Arrived(app, FIRST_SERVICE_PORT + index, events)

    def add(self, app: BenchmarkApp) -> BenchmarkTask:
        """Add a task of an app at a separate place."""
        self._own += 1
        app.tasks.append(self._task(app.id, app.version, len(self.places) + self._own - 1, self._random))
        return app.tasks[-1]

    def remove(self, app: BenchmarkApp, task: BenchmarkTask) -> None:
        """Remove a task."""
        app.tasks.remove(task)

    def _task_at_free_place(self, app: BenchmarkApp) -> BenchmarkTask:
        used = {task.place for task in app.tasks}
        place = self._random.choice([number for number in range(len(self.places)) if number not in used])
        return self._task(app.id, app.version, place, self._random)

    def unchanged(self, index: int) -> bytes:
        """Return an event of the nth app without changes: a task that already runs is running."""
        app = self.apps[index % len(self.apps)]
        return self.event(app, app.tasks[0], "TASK_RUNNING")

    def _make(self, index: int) -> BenchmarkApp:
        random = Random(f"{self.shape.seed}/{index}")
        app_id = app_id_of(index)
        version = _moment(random)
        places = random.sample(range(len(self.places)), self.shape.tasks)
        if index < self.shape.mortal:
            first = len(self.places) + index * self.shape.tasks
            places = list(range(first, first + self.shape.tasks))
        head = _encode(_definition(app_id, index, version, self.shape, random))[:-1]
        tasks = [self._task(app_id, version, place, random) for place in places]
        return BenchmarkApp(app_id, virtual_host(index), version, head, tasks)

    def _task(self, app_id: str, version: str, place: int, random: Random) -> BenchmarkTask:
        host, port = self.shape.place(place)
        task_id = f"{app_id.strip('/').replace('/', '_')}.{_uuid(random)}"
        started = _moment(random)
        piece = _encode(
            {
                "appId": app_id,
                "healthCheckResults": [
                    {
                        "alive": True,
                        "consecutiveFailures": 0,
                        "firstSuccess": started,
                        "lastFailure": None,
                        "lastFailureCause": None,
                        "lastSuccess": started,
                        "instanceId": f"{task_id.replace('.', '.marathon-')}",
                    }
                ],
                "host": host,
                "id": task_id,
                "ipAddresses": [{"ipAddress": host, "protocol": "IPv4"}],
                "localVolumes": [],
                "ports": [port],
                "region": "eu-central",
                "servicePorts": [FIRST_SERVICE_PORT],
                "slaveId": f"30464d3f-eded-4669-8e3e-343b2a23981b-S{place // len(PORTS)}",
                "stagedAt": started,
                "startedAt": started,
                "state": "TASK_RUNNING",
                "version": version,
                "zone": f"eu-central-{place % 3}",
            }
        )
        return BenchmarkTask(task_id, place, piece)

    def event(self, app: BenchmarkApp, task: BenchmarkTask, status: str) -> bytes:
        """Return a status update of a task as JSON."""
        host, port = self.shape.place(task.place)
        return _encode(
            {
                "slaveId": f"30464d3f-eded-4669-8e3e-343b2a23981b-S{task.place // len(PORTS)}",
                "taskId": task.id,
                "taskStatus": status,
                "message": "",
                "appId": app.id,
                "host": host,
                "ipAddresses": [{"ipAddress": host, "protocol": "IPv4"}],
                "ports": [port],
                "version": app.version,
                "eventType": "status_update_event",
                "timestamp": "2026-03-01T12:00:00.000Z",
            }
        )


def app_id_of(index: int) -> str:
    """Return the nth app's id."""
    return f"/prod/team-{index % 40:02d}/service-{index:05d}"


def virtual_host(index: int) -> str:
    """Return the nth app's virtual host."""
    return f"service-{index:05d}.team-{index % 40:02d}.example.com"


def server_sent(events: Sequence[bytes]) -> bytes:
    """Return events in the format of Marathon's event stream."""
    return b"".join(b"event: status_update_event\r\ndata: %b\r\n\r\n" % event for event in events)


def _definition(app_id: str, index: int, version: str, shape: Shape, random: Random) -> dict[str, Any]:
    name = app_id.rpartition("/")[2]
    return {
        "id": app_id,
        "cmd": f"exec java -Xmx{random.choice((256, 512, 1024))}m -Dserver.port=$PORT0 "
        f"-Dspring.profiles.active=production -jar {name}-{random.randrange(9)}.{random.randrange(40)}.jar",
        "acceptedResourceRoles": ["*"],
        "backoffFactor": 1.15,
        "backoffSeconds": 1,
        "constraints": [["hostname", "MAX_PER", "2"], ["zone", "GROUP_BY", "3"]],
        "cpus": random.choice((0.1, 0.25, 0.5, 1)),
        "disk": 0,
        "env": _environment(name, random),
        "executor": "",
        "fetch": [{"uri": f"https://artifacts.example.com/{name}.tar.gz", "cache": True, "extract": True}],
        "healthChecks": [_health_check(by_http=index % CHECKED_EVERY == 0)],
        "instances": shape.tasks,
        "killSelection": "YOUNGEST_FIRST",
        "labels": {
            "HAPROXY_GROUP": GROUP,
            "HAPROXY_0_VHOST": virtual_host(index),
            "HAPROXY_0_BIND_ADDR": shape.frontend,
            **({"HAPROXY_0_STICKY": "true"} if index < shape.mortal and index % 2 == 0 else {}),
            "owner": f"team-{index % 40:02d}",
            "cost-centre": str(random.randrange(10000, 99999)),
        },
        "maxLaunchDelaySeconds": 3600,
        "mem": random.choice((128, 256, 512, 1024)),
        "gpus": 0,
        "networks": [{"mode": "host"}],
        "portDefinitions": [
            {"labels": {}, "name": "http", "port": FIRST_SERVICE_PORT + index, "protocol": "tcp"}
        ],
        "requirePorts": False,
        "tasksHealthy": shape.tasks,
        "tasksRunning": shape.tasks,
        "tasksStaged": 0,
        "tasksUnhealthy": 0,
        "unreachableStrategy": {"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0},
        "upgradeStrategy": {"maximumOverCapacity": 1, "minimumHealthCapacity": 1},
        "version": version,
        "versionInfo": {"lastConfigChangeAt": version, "lastScalingAt": version},
        "deployments": [],
    }


def _environment(name: str, random: Random) -> dict[str, str]:
    return {
        "DATABASE_URL": f"postgresql://{name}@db-{random.randrange(9)}.example.com:5432/{name}",
        "KAFKA_BROKERS": ",".join(f"kafka-{number}.example.com:9092" for number in range(3)),
        "LOG_LEVEL": random.choice(("info", "warn")),
        "REGION": "eu-central",
        "RELEASE": f"{random.getrandbits(160):040x}",
    }


def _health_check(*, by_http: bool) -> dict[str, Any]:
    if by_http:
        kind: dict[str, Any] = {"ignoreHttp1xx": False, "path": "/health", "portIndex": 0, "protocol": "HTTP"}
    else:
        command = "curl --fail --silent --max-time 10 http://$HOST:$PORT0/health"
        kind = {"command": {"value": command}, "protocol": "COMMAND"}
    durations = {"gracePeriodSeconds": 300, "intervalSeconds": 60, "timeoutSeconds": 20, "delaySeconds": 15}
    return {**durations, "maxConsecutiveFailures": 3, **kind}


def _moment(random: Random) -> str:
    """Return a random time in February 2026."""
    number = random.randrange(28 * 86_400_000)
    seconds, thousandths = divmod(number, 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    return f"2026-02-{day + 1:02d}T{hour:02d}:{minute:02d}:{second:02d}.{thousandths:03d}Z"


def _uuid(random: Random) -> str:
    digits = f"{random.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
