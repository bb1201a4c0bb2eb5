"""minimarathon as a client that others wrote sees it: the package ``marathon``, synchronous, in a thread."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from twisted.internet.threads import deferToThread

from tests.integration.minimarathons import MarathonTestCase, until

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from marathon import MarathonClient
        from marathon.exceptions import ConflictError, MarathonHttpError, NotFoundError
        from marathon.models import MarathonApp

    SKIP = None
except ImportError:
    SKIP = "the package marathon is not installed: pip install marathon==0.13.0"


class ClientTests(MarathonTestCase):
    """The client's calls, each against a Marathon of its own."""

    skip = SKIP

    def start(self, version: str = "1.5", **config: Any) -> None:
        logging.getLogger("marathon").addHandler(logging.NullHandler())
        self.service = self.marathon(version, processes=False, **config)
        self.client = MarathonClient(self.service.url, timeout=10)

    async def call(self, name: str, *args: Any, **more: Any) -> Any:
        """One call of the client, in a thread."""
        return await deferToThread(getattr(self.client, name), *args, **more)

    async def rest(self) -> None:
        """Wait for every deployment."""
        await until(lambda: not self.service.engine.state.underway)

    async def test_create_and_read(self) -> None:
        """An app that was created is listed, shown and found by its filters, in every version that is spoken."""
        for version in ("1.4", "1.5", "1.8", "1.11"):
            self.start(version)
            labels = {"tier": "front"}
            app = MarathonApp(cmd="sleep 100", mem=16, cpus=0.1, instances=2, labels=labels, ports=[0])
            made = await self.call("create_app", "/shop/web", app)
            self.assertEqual("/shop/web", made.id)
            self.assertEqual(1, len(made.deployments))
            await self.rest()
            (listed,) = await self.call("list_apps", embed_tasks=True)
            self.assertEqual((2, 2, 2), (listed.instances, listed.tasks_running, len(listed.tasks)))
            shown = await self.call("get_app", "/shop/web")
            self.assertEqual("sleep 100", shown.cmd)
            self.assertEqual([10000], shown.ports or [one.port for one in shown.port_definitions])
            self.assertEqual(
                1, len(await self.call("list_apps", label="tier==front", cmd="sleep", app_id="web"))
            )
            self.assertEqual([], await self.call("list_apps", label="tier notin (front)"))
            self.assertEqual(2, len(await self.call("list_tasks")))
            endpoints = await self.call("list_endpoints")
            self.assertEqual({10000}, {one.service_port for one in endpoints})

    async def test_scale(self) -> None:
        """Scaling up and down is a deployment each, and the tasks follow."""
        self.start()
        await self.call("create_app", "/web", MarathonApp(cmd="sleep 100"))
        await self.rest()
        for count in (4, 1):
            answer = await self.call("scale_app", "/web", instances=count)
            self.assertIn("deploymentId", answer)
            await self.rest()
            self.assertEqual(count, len(await self.call("list_tasks", "/web")))

    async def test_update_and_roll_back(self) -> None:
        """An update makes a version, and the app can go back to the one before."""
        self.start()
        await self.call("create_app", "/web", MarathonApp(cmd="sleep 100"))
        await self.rest()
        await self.call("update_app", "/web", MarathonApp(cmd="sleep 200"))
        await self.rest()
        _, old = await self.call("list_versions", "/web")
        self.assertEqual("sleep 100", (await self.call("get_version", "/web", old)).cmd)
        await self.call("rollback_app", "/web", old)
        await self.rest()
        self.assertEqual("sleep 100", (await self.call("get_app", "/web")).cmd)

    async def test_kill(self) -> None:
        """One task, some tasks and all tasks can be killed, with and without scaling."""
        self.start()
        await self.call("create_app", "/web", MarathonApp(cmd="sleep 100", instances=4))
        await self.rest()

        async def ids() -> list[str]:
            return sorted(
                one.id for one in await self.call("list_tasks", "/web") if one.state == "TASK_RUNNING"
            )

        async def other(than: list[str], count: int) -> list[str]:
            async def there() -> Any:
                now = await ids()
                return now if len(now) == count and now != than else None

            return await until(there)

        first = await ids()
        killed = await self.call("kill_task", "/web", first[0])
        self.assertEqual(first[0], killed.id)
        second = await other(first, 4)
        self.assertEqual(3, len(set(first) & set(second)))
        await self.call("kill_task", "/web", second[0], scale=True)
        third = await other(second, 3)
        self.assertEqual(second[1:], third)
        self.assertTrue(await self.call("kill_given_tasks", third[:1], scale=True))
        fourth = await other(third, 2)
        killed = await self.call("kill_tasks", "/web")
        self.assertEqual(fourth, sorted(one.id for one in killed))
        fifth = await other(fourth, 2)
        self.assertFalse(set(fourth) & set(fifth))

    async def test_restart_and_delete(self) -> None:
        """A restart replaces every task; a deleted app is gone, and asking for it is 404."""
        self.start()
        await self.call("create_app", "/web", MarathonApp(cmd="sleep 100"))
        await self.rest()
        (before,) = await self.call("list_tasks", "/web")
        await self.call("restart_app", "/web")
        await self.rest()
        (after,) = await self.call("list_tasks", "/web")
        self.assertNotEqual(before.id, after.id)
        await self.call("delete_app", "/web")
        await self.rest()
        await self.assertFailure(deferToThread(self.client.get_app, "/web"), NotFoundError)
        self.assertEqual([], await self.call("list_tasks"))

    async def test_conflicts(self) -> None:
        """An app that exists is no new app (409), and one that cannot be is refused with what is wrong (422)."""
        self.start()
        await self.call("create_app", "/web", MarathonApp(cmd="sleep 100"))
        app = MarathonApp(cmd="sleep 100")
        await self.assertFailure(deferToThread(self.client.create_app, "/web", app), ConflictError)
        wrong = await self.assertFailure(
            deferToThread(self.client.create_app, "/other", MarathonApp(cpus=1)), MarathonHttpError
        )
        self.assertEqual(422, wrong.status_code)

    async def test_groups_and_the_rest(self) -> None:
        """Groups, deployments, the queue, info, the leader and ping are as the client expects them."""
        self.start()
        await self.call("create_app", "/shop/web", MarathonApp(cmd="sleep 100"))
        await self.rest()
        (root,) = [one for one in await self.call("list_groups") if one.id == "/shop"]
        self.assertEqual("/shop/web", root.apps[0].id)
        self.assertEqual("/shop", (await self.call("get_group", "/shop")).id)
        self.assertEqual([], await self.call("list_deployments"))
        self.assertEqual([], await self.call("list_queue"))
        info = await self.call("get_info")
        self.assertEqual(("1.5.15", True), (info.version, info.elected))
        self.assertEqual(self.service.url, f"http://{(await self.call('get_leader'))['leader']}")
        self.assertEqual(b"pong", (await self.call("ping")).strip())

    async def test_event_stream(self) -> None:
        """The stream tells the story of an app, in events that the client knows."""
        self.start(keep_alive=0.02)

        def listen() -> list[Any]:
            heard = []
            for event in self.client.event_stream():
                heard.append(event)
                if event.event_type == "deployment_success":
                    return heard
            return heard

        heard = deferToThread(listen)
        await until(lambda: self.service.streams.open)
        await self.call("create_app", "/web", MarathonApp(cmd="sleep 100"))
        events = await heard
        kinds = [one.event_type for one in events]
        self.assertEqual("event_stream_attached", kinds[0])
        for kind in ("api_post_event", "deployment_info", "group_change_success", "instance_changed_event"):
            self.assertIn(kind, kinds)
        statuses = [one.task_status for one in events if one.event_type == "status_update_event"]
        self.assertEqual(["TASK_STARTING", "TASK_RUNNING"], statuses)

    async def test_filtered_event_stream(self) -> None:
        """A stream of one type of event has no other, not even its own attachment."""
        self.start(keep_alive=0.02)
        heard = deferToThread(lambda: next(self.client.event_stream(event_types=["app_terminated_event"])))
        await until(lambda: self.service.streams.open)
        await self.call("create_app", "/web", MarathonApp(cmd="sleep 100"))
        await self.rest()
        await self.call("delete_app", "/web")
        self.assertEqual("app_terminated_event", (await heard).event_type)

    async def test_credentials(self) -> None:
        """With credentials the right ones are let in, and others are not."""
        self.start(credentials="user:secret")
        await self.assertFailure(deferToThread(self.client.list_apps), MarathonHttpError)
        knowing = MarathonClient(self.service.url, username="user", password="secret")
        self.assertEqual([], await deferToThread(knowing.list_apps))
