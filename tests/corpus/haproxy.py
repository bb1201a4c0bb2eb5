"""HAProxy's recorded messages, and HAProxies that check what published definitions and templates come to."""

from __future__ import annotations

from tests.corpus import corpus
from tests.haproxy.diagnostics import test_blame, test_messages
from tests.haproxy.runtime import test_processes, test_replies
from tests.integration import test_app_files, test_marathon_stream, test_template_files
from tests.integration.haproxies import on_each

VERSIONS = ("2.6", "2.8", "3.4")


class Messages(test_messages.RecordedMessagesTests):
    """Recorded messages of a collection."""

    directory = corpus("haproxy", "complaints")
    versions = VERSIONS
    lines = {name: at for name, at in test_messages.LINES.items() if name != "long-line"} | {
        "nul-line-too-long": ()
    }
    sections = ("shop_web_10000", "shop_web_10000_in", "shop_api_10001", "f2")


class Clashes(test_blame.ClashTests):
    """Recorded messages of a frontend and a backend of one name."""

    directory = corpus("haproxy", "complaints")


class Masters(test_processes.ProcessesTests):
    """Recorded answers of master sockets."""

    recordings = corpus("haproxy", "sockets")
    versions = VERSIONS


class Replies(test_replies.RefusalTests):
    """Recorded replies of the runtime API."""

    recordings = corpus("haproxy", "sockets")
    versions = VERSIONS
    recorded = (
        ("add server shop_web_10000/c 127.0.0.2:20004 id 13 weight 50", True),
        ("add server nowhere/x 127.0.0.2:20004", False),
        ("add server shop_web_10000/g 127.0.0.2:20007 no-such-keyword", False),
        ("set server shop_web_10000/c weight 10", True),
        ("set server shop_web_10000/c weight 300", False),
        ("set server shop_web_10000/c addr 127.0.0.3 port 20100", True),
        ("prepare map /run/domain2backend.map", True),
        ("del map /run/domain2backend.map absent.example.com", False),
    )
    from_2_7 = "add server shop_web_10000/e 127.0.0.2:20006 cookie eeee"


class CapturedStreams(test_marathon_stream.StreamFilesTests):
    """Captured streams, over a socket."""

    directory = corpus("marathon", "streams")
    about = frozenset({"/zdd/base-min-over", "/test-container"})


class PublishedAppsMixin(test_app_files.AppFilesMixin):
    """Published definitions, each as a cluster of its own, and all of them together."""

    directory_of_apps = corpus("apps")
    every_known_reason = False


class PublishedTemplatesMixin(test_template_files.TemplateFilesMixin):
    """Published templates, each directory as the operator's."""

    parent = corpus("templates")
    least_used, least_heads, least_lua = 51, 41, 11


on_each(PublishedAppsMixin, globals())
on_each(PublishedTemplatesMixin, globals())
