"""
The checked options as one frozen value.

`marathonlb.options` makes it from the command line and the environment; tests make it directly.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from attrs import evolve, field, frozen

Credentials = tuple[str, str]


@frozen(kw_only=True)
class NamedCluster:
    """
    A cluster with a name, alone or next to others. A setting that is None is the one of all clusters.

    :param marathon: base URLs without credentials or trailing slash, in the order in which they are tried.
    :param auth_credentials: the cluster's own. A cluster that has any of credentials, credential file and service
        account uses none of the others'.
    """

    name: str
    marathon: tuple[str, ...]
    auth_credentials: Credentials | None = field(default=None, repr=False)
    marathon_auth_credential_file: str | None = None
    dcos_auth_credentials: str | None = field(default=None, repr=False)
    marathon_ca_cert: str | None = None
    marathon_client_cert: str | None = None

    def among(self, settings: Settings) -> Settings:
        """Return the settings as they apply to this cluster."""
        own: dict[str, Any] = {
            "auth_credentials": self.auth_credentials,
            "marathon_auth_credential_file": self.marathon_auth_credential_file,
            "dcos_auth_credentials": self.dcos_auth_credentials,
        }
        mark = "&" if "?" in settings.callback_url else "?"
        return evolve(
            settings,
            marathon=self.marathon,
            named_clusters=(),
            callback_url=f"{settings.callback_url}{mark}{CLUSTER_ARGUMENT}={quote(self.name)}",
            marathon_ca_cert=self.marathon_ca_cert or settings.marathon_ca_cert,
            marathon_client_cert=self.marathon_client_cert or settings.marathon_client_cert,
            **(own if any(own.values()) else {}),
        )


CLUSTER_ARGUMENT = "cluster"
"""The query argument of a callback URL that names the cluster whose Marathon posts to it."""


@frozen(kw_only=True)
class Account:
    """
    The user that HAProxy's worker runs as, if that is not the controller's user.

    :param user: the user's name, or its number where it has no name.
    :param group: the group's name, or its number.
    :param chroot: the directory that the worker sees as ``/``; empty where it sees all files.
    :param ours: True if the controller chose the account; False if ``HAPROXY_HEAD`` names it.
    :param reaches: True if the worker can connect to sockets in the state directory.
    """

    user: str
    group: str
    uid: int
    gid: int
    chroot: str = ""
    ours: bool = True
    reaches: bool = True

    @property
    def directives(self) -> tuple[str, str]:
        """The lines of ``global`` that name user and group; HAProxy has other keywords for numbers than for names."""
        user = "uid" if self.user.isdecimal() else "user"
        group = "gid" if self.group.isdecimal() else "group"
        return f"{user} {self.user}", f"{group} {self.group}"


@frozen(kw_only=True)
class Settings:
    """
    The settings of one controller. Durations are seconds unless a name says otherwise.

    :param marathon: base URLs of the cluster without a name, without credentials or trailing slash, in the order in
        which they are tried; empty where every cluster has a name.
    :param named_clusters: the clusters with a name; `clusters` has all of them.
    :param callback_url: the URL that Marathon posts events to in event mode.
    :param listening: the Twisted endpoint description for the callback.
    :param max_shrink: percent of the services that one answer may remove without a second opinion; 100 turns the check
        off.
    :param access_log: the syslog socket that HAProxy logs requests and connections to; None for no access log.
    :param hard_stop_after: a HAProxy duration (``1h``).
    :param haproxy: the path of the binary; empty where none was found.
    :param command: the reload command where HAProxy is not managed; None to find one.
    :param groups: the groups that this instance serves; empty for apps without a group, ``*`` for all apps.
    :param system_ca: the value of HAProxy's ``ca-file`` for the authorities that the system trusts.
    :param bind_http: ``address:port`` of a shared frontend, as HAProxy's ``bind`` takes it; the others likewise.
    :param explain: a URL, an app id or a port that a single run explains instead of applying anything.
    :param rollback: number of configurations that a single run goes back; 0 releases the pinned one.
    :param max_password_cost: maximum milliseconds that HAProxy may spend on the hash of a password.
    :param account: the account that HAProxy's worker switches to; None where it stays the one that started it.
    :param own_app_ids: the load balancer's own apps, which are skipped (``FRAMEWORK_NAME``, ``MARATHON_APP_ID``).
    :param environment: the ``HAPROXY_*`` variables of the process, for templates.
    """

    mode: str = "sse"
    marathon: tuple[str, ...] = ("http://master.mesos:8080",)
    named_clusters: tuple[NamedCluster, ...] = ()
    callback_url: str = ""
    listening: str = "tcp:8081"
    poll_interval: float = 60
    resync_interval: float = 300
    stall_timeout: float = 30
    max_shrink: int = 50
    min_reload_interval: float = 1
    hard_stop_after: str = "1h"
    max_staleness: float = 600
    haproxy_config: str = "/etc/haproxy/haproxy.cfg"
    haproxy: str = ""
    manage_haproxy: bool = False
    state_dir: str = "/var/run/marathon-lb"
    command: str | None = None
    max_reload_retries: int = 10
    reload_interval: float = 10
    groups: frozenset[str] = frozenset()
    strict_mode: bool = False
    health_check: bool = False
    haproxy_map: bool = True
    dont_bind_http_https: bool = False
    group_https_by_vhost: bool = False
    ssl_certs: tuple[str, ...] = ("/etc/ssl/cert.pem",)
    system_ca: str = "@system-ca"
    bind_http: str = "*:80"
    bind_https: str = "*:443"
    bind_appid: str = "*:9091"
    bind_stats: str = "*:9090"
    templates: str = "./templates"
    access_log: str | None = None
    skip_validation: bool = False
    skip_config_cleanup: bool = False
    template_fallback: bool = False
    dry: bool = False
    diff: bool = False
    explain: str | None = None
    status: bool = False
    json: bool = False
    rollback: int | None = None
    strict_exit: bool = False
    policy: str | None = None
    max_password_cost: float = 1
    archive_versions: int = 5
    min_serv_port_ip_per_task: int = 10050
    max_serv_port_ip_per_task: int = 10100
    max_backoff: float = 300
    auth_credentials: Credentials | None = field(default=None, repr=False)
    marathon_auth_credential_file: str | None = None
    dcos_auth_credentials: str | None = field(default=None, repr=False)
    marathon_ca_cert: str | None = None
    marathon_client_cert: str | None = None
    marathon_insecure: bool = False
    admin_allow: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    admin_token: str | None = field(default=None, repr=False)
    trusted_proxies: tuple[str, ...] = ()
    syslog_socket: str | None = None
    log_format: str = "text"
    log_level: str = "info"
    account: Account | None = None
    own_app_ids: frozenset[str] = frozenset()
    environment: dict[str, str] = field(factory=dict, repr=False)

    @property
    def clusters(self) -> dict[str, Settings]:
        """The settings of each cluster by its name; the empty name is the cluster without a name."""
        unnamed = {"": evolve(self, named_clusters=())} if self.marathon else {}
        return unnamed | {cluster.name: cluster.among(self) for cluster in self.named_clusters}
