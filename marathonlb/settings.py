"""
What the options say, once they are checked: one frozen value that everything is given.

`marathonlb.options` makes it from the command line and the environment; tests make it by hand.
"""

from __future__ import annotations

from attrs import field, frozen

Credentials = tuple[str, str]


@frozen(kw_only=True)
class Settings:
    """
    The settings of one controller. Durations are seconds unless a name says otherwise.

    :param marathon: base URLs without credentials or trailing slash, in the order they are tried.
    :param callback_url: where Marathon reaches us in event mode.
    :param listening: a Twisted endpoint description for the callback.
    :param max_shrink: percent of the services one answer may take away unasked; 100 turns the doubt off.
    :param hard_stop_after: a HAProxy duration (``1h``).
    :param haproxy: the binary; empty where none was found.
    :param command: the reload command where HAProxy is not managed; None means that it is found out.
    :param groups: the groups this instance serves; empty means apps without a group, ``*`` every group and none.
    :param system_ca: what HAProxy's ``ca-file`` takes for the authorities that the system trusts.
    :param bind_http: ``address:port`` of a shared frontend, as HAProxy's ``bind`` takes it; the others likewise.
    :param explain: what a single run is to explain instead of applying anything: a URL, an app id or a port.
    :param own_app_ids: the load balancer's own apps, which are skipped (``FRAMEWORK_NAME``, ``MARATHON_APP_ID``).
    :param environment: the ``HAPROXY_*`` variables of the process, for templates.
    """

    mode: str = "sse"
    marathon: tuple[str, ...] = ("http://master.mesos:8080",)
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
    skip_validation: bool = False
    skip_config_cleanup: bool = False
    dry: bool = False
    diff: bool = False
    explain: str | None = None
    strict_exit: bool = False
    policy: str | None = None
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
    syslog_socket: str | None = None
    log_format: str = "text"
    log_level: str = "info"
    own_app_ids: frozenset[str] = frozenset()
    environment: dict[str, str] = field(factory=dict, repr=False)
