"""
Generate the text of ``--longhelp`` and files under docs/ from the tables of the code.

``python -m marathonlb.documentation DIRECTORY`` writes the files; ``make docs`` calls it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from itertools import starmap
from pathlib import Path

from marathonlb.base import limits
from marathonlb.config.templates.loader import defaults_directory
from marathonlb.config.templates.table import TEMPLATES, TemplateSpec
from marathonlb.config.templates.variable_table import VARIABLES, Variable
from marathonlb.config.text import line_check
from marathonlb.metrics import markdown as metrics_markdown
from marathonlb.options.completion import ZSH, bash
from marathonlb.options.manpage import manual_pages
from marathonlb.options.markdown import longhelp as joined
from marathonlb.options.markdown import options_markdown
from marathonlb.problem_kinds.kind import Category, ProblemKind
from marathonlb.problem_kinds.table import KINDS, TOPICS
from marathonlb.routing.labels.balance import LONGEST
from marathonlb.routing.labels.label import Label
from marathonlb.routing.labels.table import LABELS
from marathonlb.web.api.openapi import openapi
from marathonlb.web.routes import documented

_LABELS = """\
# Labels

An app's labels configure how it is served. `{n}` is the index of the service port, from 0. Booleans
are `true`, `t`, `yes`, `y`, `1`, `on` or `false`, `f`, `no`, `n`, `0`, `off`, in any case. An invalid value affects
only its own service, until it is fixed; an unknown `HAPROXY_` label is a warning with the nearest known name.

| label | value | default | what it does |
| --- | --- | --- | --- |"""

_TEMPLATES = """\
# Templates

The text of a template comes from the first of these that exists:

1. the app's label `HAPROXY_{n}_NAME` for the service port `n`, if the table says *app*;
2. the environment variable `HAPROXY_NAME`, where `\\n` means a newline;
3. the file `HAPROXY_NAME` or `HAPROXY_NAME.j2` in the operator's directory (`--templates`);
4. the default below.

In the classic syntax (labels, variables, files without `.j2`) `{name}` is replaced by a variable, `{{` and `}}` stand
for one brace; in a *literal* template nothing is replaced. Files that end in `.j2` are Jinja2, like the defaults.

An empty template disables its part. So does one with only comments, if the template opens a section. A template may
contain other sections only before its own, and `global` and `defaults` only in `HAPROXY_HEAD`.
`HAPROXY_{n}_FRONTEND_EXTRA`, `_BACKEND_EXTRA` and `_SERVER_EXTRA` add lines to the defaults without replacing them.

An operator's template may be unusable because a variable is unknown or HAProxy refuses a line. Then a
[problem](problems.md) names the line and what to do, and no default replaces it: its last good text is used, HAProxy
keeps running unchanged, or what the template may protect is closed (see [operations](operations.md)). With
`--template-fallback` the default is used instead. If a template in a label is unusable, its service is not served.

Old templates keep working:

* `lua-load` of `getpids.lua`, `getconfig.lua`, `getmaps.lua` or `signalmlb.lua`, from any directory, loads the file
  from the package, so that `http-request use-service lua.getpids` and similar lines work;
* `daemon` is removed with `--manage-haproxy`, with a warning;
* a `stats socket` in a directory that does not exist is moved to the state directory, with a warning;
* a line that protects nothing is removed if HAProxy refuses it (`nbproc`, `debug`, `quiet`, `tune.…`, `option
  forceclose`, …), and some are written in their modern form (`clitimeout`, `redispatch`, `process` of a `bind`), each
  with a warning; an operator's `server` whose name cannot be resolved gets `init-addr last,libc,none`;
* a health check with headers after the HTTP version (`option httpchk GET / HTTP/1.1\\r\\nHost:\\ www`), which HAProxy
  accepts up to 2.6, sends them with a separate `http-check send hdr Host www`, with a warning;
* if HAProxy refuses a frontend with the name of its backend (3.3 and later), `frontend {backend}` becomes
  `frontend {frontend}`, with a warning.

| template | overridden by | classic syntax | what the default does |
| --- | --- | --- | --- |"""


_LIMITS = """
## Limits

A larger value is a problem that names app and label. If a value is too long, or a list has too many items, that service
is not served, as with any invalid value; nor is a port with a label that was not read. If an app has too many
combinations of hosts and paths, none of them is served, but its service port is. Unknown labels do not count.

| what | maximum |
| --- | --- |"""

LIMITS: tuple[tuple[str, int], ...] = (
    ("bytes of a label's value", limits.LABEL),
    ("bytes of all these labels of an app; of one with more nothing is served", limits.TEXT),
    ("such labels of an app", limits.LABELS),
    ("ports of an app", limits.PORTS),
    ("servers of an app, in all its ports", limits.SERVERS),
    ("hosts, paths, and hosts times paths of an app, in all its ports", limits.ENTRIES),
    ("hosts that one name outside of ASCII counts for", limits.FOREIGN),
    ("networks of an app, in all its ports", limits.NETWORKS),
    ("paths of a service whose rule a template or a label writes", limits.ACL_PATHS),
    ("origins, certificates and groups of an app, each in all its labels", limits.LISTED),
    ("origins in one `CORS`", limits.ORIGINS),
    ("certificates of a service port, or of a host with those of all its services", limits.CERTIFICATES),
    (
        "words of `BIND_OPTIONS` and certificates of a port together, two for each certificate",
        limits.BIND_WORDS,
    ),
    ("groups in one label", limits.GROUPS),
    ("bytes of a path, of a health check's too, and of a file's name", limits.PATH),
    ("bytes of a host name, of an agent's too", limits.HOST),
    ("bytes of an app's id", limits.APP_ID),
    ("bytes of `BIND_OPTIONS`", limits.WORDS_OF_LINE),
    ("bytes of `BALANCE`", LONGEST),
    ("bytes of any other plain value", limits.WORD),
    ("bytes of a line that a label writes", line_check.LINE),
    ("bytes of a name in such a line", line_check.NAME),
    (
        "characters that a label's text comes to, and all those of a service together, without servers",
        limits.RENDERED,
    ),
    ("characters that each server adds to that", limits.PER_SERVER),
    ("characters that a service's labels write in the shared frontends", limits.RULES),
)
"""Each limit, and its number."""

_VARIABLES = """\

## Variables

Every template of a service has every variable of a service, and those of its health check, which are empty if it
has none. The templates of the server lines also have those of a server; the grouped frontends have their own, named
above. In Jinja2 they are `{{ name }}`, and there are three objects: `service`, `app` (its `id`, `labels`, `ports`,
`health_checks`) and `settings`.

| variable | of a | what it holds |
| --- | --- | --- |"""


_PROBLEMS = """\
# Problems

Every problem has a code, `MLB-` and a number, which never changes. It is in the log, in `/api/problems` (`code`), in
`--status` and on [the dashboard](dashboard.md), whose page `/problems/MLB-101` says the same as the section here. The
first digit is the topic. `marathon_lb_problems` counts the problems by their coarser `kind`."""


def documents() -> dict[str, str]:
    """Return the generated files, by their paths from docs/."""
    completion = "../packaging/completion/"
    return {
        f"{completion}marathon-update-haproxy": bash(),
        f"{completion}_marathon-update-haproxy": ZSH,
        **{f"man/{name}": text for name, text in manual_pages().items()},
        "options.md": options_markdown(),
        "labels.md": labels_markdown(),
        "templates.md": templates_markdown(),
        "metrics.md": metrics_markdown(),
        "problems.md": problems_markdown(),
        "openapi.json": json.dumps(openapi(documented()), indent=2) + "\n",
    }


def labels_markdown() -> str:
    """Return the table of labels as Markdown."""
    return "\n".join([_LABELS, *map(_label, LABELS), _LIMITS, *starmap(_limit, LIMITS)]) + "\n"


def templates_markdown() -> str:
    """Return the tables of templates and of variables as Markdown, then the default texts."""
    tables = [_TEMPLATES, *map(_template, TEMPLATES), _VARIABLES, *map(_variable, VARIABLES)]
    return "\n".join([*tables, "", "## Default texts", *_texts()]) + "\n"


def problems_markdown() -> str:
    """Return the table of problem kinds as Markdown: one section for each code."""
    blocks = [_PROBLEMS]
    topic = ""
    for kind in KINDS:
        heading = next(title for prefix, title in TOPICS.items() if kind.code.startswith(prefix))
        if heading != topic:
            topic = heading
            blocks.append(f"\n## {topic}\n")
        blocks.append(_problem_kind(kind))
    return "\n".join(blocks)


def _problem_kind(kind: ProblemKind) -> str:
    shown = "" if kind.category is Category.FAILURE else f" (`kind` is `{kind.category.value}`)"
    return f"""\
### {kind.code} {kind.slug}

**{kind.title}**{shown}

{kind.meaning}

* Meanwhile: {kind.meanwhile}
* What to do: {kind.remedy}
"""


def longhelp() -> str:
    """Return options, labels and templates as one Markdown document."""
    return joined((labels_markdown(), templates_markdown()))


def _label(label: Label) -> str:
    name = f"HAPROXY_{{n}}_{label.name}" if label.per_port else f"HAPROXY_{label.name}"
    return f"| `{name}` | {_cell(label.kind)} | {_cell(label.default)} | {_cell(label.doc)} |"


def _limit(what: str, most: int) -> str:
    return f"| {what} | {most:,} |"


def _template(spec: TemplateSpec) -> str:
    who = "app, operator" if spec.per_app else "operator"
    return f"| `{spec.name}` | {who} | {'literal' if spec.literal else 'substituted'} | {_cell(spec.doc)} |"


def _variable(variable: Variable) -> str:
    names = ", ".join(f"`{name}`" for name in variable.names)
    return f"| {names} | {variable.scope} | {_cell(variable.doc)} |"


def _texts() -> Iterable[str]:
    directory = defaults_directory()
    for spec in TEMPLATES:
        text = (directory / f"HAPROXY_{spec.name}.j2").read_text(encoding="utf-8").strip("\n")
        yield f"\n### HAPROXY_{spec.name}\n"
        yield f"```jinja\n{text}\n```" if text else "Empty."


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def main(directory: str) -> None:
    """Write every generated file into a directory."""
    for name, text in documents().items():
        (Path(directory) / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
