"""Kinds of problems with certificates (MLB-5..) and with the operator's templates (MLB-6..)."""

from __future__ import annotations

from marathonlb.problem_kinds.kind import Category, ProblemKind

CERTIFICATE_UNUSABLE = ProblemKind(
    code="MLB-501",
    slug="certificate-unusable",
    category=Category.LABEL,
    title="A file that a label names cannot be used",
    meaning=(
        "The certificate, authority or ticket keys are missing, not readable, incomplete or of the wrong kind. The log"
        " gives more details than the app's owner gets: a label must not reveal the file system."
    ),
    meanwhile="The service is not served. A file that was good before is served by its copy (MLB-503).",
    remedy="Put a complete PEM file in place. It is noticed within seconds.",
)
FILE_NAME = ProblemKind(
    code="MLB-502",
    slug="file-name",
    category=Category.LABEL,
    title="A label names a file in a way that is not accepted",
    meaning="The path is not absolute, leads upward, or stands in an option that is not known to name a certificate.",
    meanwhile="The service is not served.",
    remedy="Name the certificates by absolute paths in `HAPROXY_{n}_SSL_CERT`, or each behind `crt`.",
)
CERTIFICATE_WARNING = ProblemKind(
    code="MLB-503",
    slug="certificate-warning",
    category=Category.LABEL,
    title="A label's certificate needs attention",
    meaning="The certificate expires, a file beside it cannot be used, or its file turned bad after it was served.",
    meanwhile="The service is served with what is good, or with the copy of the last good file.",
    remedy="Renew the certificate, or replace the file that the problem names.",
)
CERTIFICATE_REFUSED = ProblemKind(
    code="MLB-504",
    slug="certificate-refused",
    category=Category.QUARANTINE,
    title="HAProxy refuses a label's certificate",
    meaning="The file looked complete, but HAProxy's TLS library refuses it in the lines of this app.",
    meanwhile="The service is not served until the file has changed.",
    remedy="Replace the certificate; HAProxy's message names the fault.",
)
HOST_CERTIFICATE = ProblemKind(
    code="MLB-505",
    slug="host-certificate",
    category=Category.LABEL,
    title="A host has no certificate for https",
    meaning="The service has TLS options for its host, but neither a certificate of its own nor a shared one.",
    meanwhile="The host is served over http; on the https port it is not.",
    remedy="Set `HAPROXY_{n}_SSL_CERT`, or `--ssl-certs`.",
)
SSL_CERTS_UNUSABLE = ProblemKind(
    code="MLB-506",
    slug="ssl-certs-unusable",
    category=Category.TEMPLATE,
    title="A file of --ssl-certs cannot be used",
    meaning="The file is missing, not readable, incomplete, or HAProxy refuses it.",
    meanwhile="The other certificates are served.",
    remedy="Correct or remove the file. It is noticed within seconds.",
)
SSL_CERTS_WARNING = ProblemKind(
    code="MLB-507",
    slug="ssl-certs-warning",
    category=Category.TEMPLATE,
    title="A certificate of --ssl-certs needs attention",
    meaning="The certificate expires, a file beside it cannot be used, or its file turned bad after it was served.",
    meanwhile="The certificate is served, or the copy of the last good file.",
    remedy="Renew the certificate, or replace the file that the problem names.",
)
HTTPS_OFF = ProblemKind(
    code="MLB-508",
    slug="https-off",
    category=Category.TEMPLATE,
    title="HTTPS is off: no usable certificate",
    meaning="None of the files of `--ssl-certs` can be served.",
    meanwhile="Nothing ends TLS with shared certificates on the https port; http is served.",
    remedy="Put a certificate with its key in place, or set `--ssl-certs` to the empty value.",
)
CERTIFICATE_LIST = ProblemKind(
    code="MLB-509",
    slug="certificate-list",
    category=Category.TEMPLATE,
    title="The list of certificates cannot be written",
    meaning="Many certificates are given to HAProxy by a list in the state directory, which cannot be written.",
    meanwhile="Only the first certificates are served; the problem gives their number.",
    remedy="Make room on the disk and see that the state directory can be written.",
)

TEMPLATE_REFUSED = ProblemKind(
    code="MLB-601",
    slug="template-refused",
    category=Category.TEMPLATE,
    title="HAProxy refuses an operator's template",
    meaning="HAProxy does not accept a line that the template writes.",
    meanwhile=(
        "One of these, as the problem says: the last good text is used; HAProxy keeps running unchanged; what the"
        " template protects is closed; the default is used (`--template-fallback`)."
    ),
    remedy="Correct the line that HAProxy names and send SIGHUP. The text is also retried automatically.",
)
TEMPLATE_ERROR = ProblemKind(
    code="MLB-602",
    slug="template-error",
    category=Category.TEMPLATE,
    title="An operator's template cannot be rendered",
    meaning="The text names an unknown variable, has a fault in its syntax, or opens a section that it may not.",
    meanwhile="As for MLB-601; if nothing can replace it, nothing is changed.",
    remedy="Correct the text and send SIGHUP; docs/templates.md lists the variables of each template.",
)
TEMPLATE_REWRITTEN = ProblemKind(
    code="MLB-603",
    slug="template-rewritten",
    category=Category.TEMPLATE,
    title="An operator's template was rewritten for this HAProxy",
    meaning="The template holds lines in the form of an older HAProxy, which today's refuses or reads differently.",
    meanwhile="The modern form of the line is used, or the line is left out if it protects nothing.",
    remedy="Write the template as the problem says.",
)
TEMPLATE_CLOSED = ProblemKind(
    code="MLB-604",
    slug="template-closed",
    category=Category.TEMPLATE,
    title="A service is closed by an operator's template",
    meaning="The service uses a template that may protect it and cannot be used; no default replaces it.",
    meanwhile="The service is not served.",
    remedy="Correct the template; its own problem (MLB-601 or MLB-602) says what is wrong.",
)
TEMPLATE_SERVICE = ProblemKind(
    code="MLB-605",
    slug="template-service",
    category=Category.TEMPLATE,
    title="An operator's template cannot be rendered for a service",
    meaning="The text works for other services, and fails with the values of this one.",
    meanwhile="The service is not served, unless an earlier text of the template was good for it.",
    remedy="Correct the template so that it works for services like this one.",
)
TEMPLATES_UNREADABLE = ProblemKind(
    code="MLB-606",
    slug="templates-unreadable",
    category=Category.TEMPLATE,
    title="The templates cannot be read",
    meaning="The directory of `--templates` or a file in it could not be read at SIGHUP.",
    meanwhile="The templates that were read before stay in use.",
    remedy="Correct the directory or the file and send SIGHUP.",
)
TEMPLATE_PASSWORD_COST = ProblemKind(
    code="MLB-607",
    slug="template-password-cost",
    category=Category.TEMPLATE,
    title="A password hash in an operator's template costs too much",
    meaning="HAProxy computes the hash at each request with that user's password, while all other requests wait.",
    meanwhile="The hash is used as it is.",
    remedy="Make another hash with the command that the problem names, or raise `--max-password-cost`.",
)
TEMPLATE_WAITS = ProblemKind(
    code="MLB-608",
    slug="template-waits",
    category=Category.TEMPLATE,
    title="A service waits for an operator's template",
    meaning="HAProxy keeps the configuration that it has, since a template is refused; this service is not in it.",
    meanwhile="HAProxy keeps its configuration, with the current tasks; this service is not served yet.",
    remedy="Correct the template; its own problem (MLB-601) says what is wrong.",
)
HAPROXY_USER = ProblemKind(
    code="MLB-609",
    slug="haproxy-user",
    category=Category.TEMPLATE,
    title="HAPROXY_HEAD keeps HAProxy from the state directory",
    meaning="With its `user`, `group` or `chroot` HAProxy's worker cannot reach the sockets behind the https port.",
    meanwhile="Everything is served, by abstract sockets to which every local user can connect.",
    remedy="Leave `user`, `group` and `chroot` out, or choose a `--state-dir` that this user reaches.",
)

KINDS = (
    CERTIFICATE_UNUSABLE,
    FILE_NAME,
    CERTIFICATE_WARNING,
    CERTIFICATE_REFUSED,
    HOST_CERTIFICATE,
    SSL_CERTS_UNUSABLE,
    SSL_CERTS_WARNING,
    HTTPS_OFF,
    CERTIFICATE_LIST,
    TEMPLATE_REFUSED,
    TEMPLATE_ERROR,
    TEMPLATE_REWRITTEN,
    TEMPLATE_CLOSED,
    TEMPLATE_SERVICE,
    TEMPLATES_UNREADABLE,
    TEMPLATE_PASSWORD_COST,
    TEMPLATE_WAITS,
    HAPROXY_USER,
)
