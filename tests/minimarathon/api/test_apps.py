"""The endpoints of apps."""

from __future__ import annotations

from tests.minimarathon.api.resources import WEB, ResourceTestCase


class AppTests(ResourceTestCase):
    """``/v2/apps``."""

    def test_create(self) -> None:
        """POST answers 201 with the app, its deployment and where it is."""
        status, body = self.ask("POST", "/v2/apps", WEB)
        self.assertEqual(201, status)
        self.assertEqual(("/shop/web", 0), (body["id"], body["tasksRunning"]))
        self.assertEqual(self.header("Marathon-Deployment-Id"), body["deployments"][0]["id"])
        self.assertEqual("/v2/apps/shop/web", self.header("Location"))
        self.assertEqual("http://127.0.0.1:8080", self.header("X-Marathon-Leader"))
        self.assertEqual("no-cache, no-store, must-revalidate", self.header("Cache-Control"))
        status, body = self.ask("POST", "/v2/apps", WEB)
        self.assertEqual((409, {"message": "An app with id [/shop/web] already exists."}), (status, body))

    def test_refusals(self) -> None:
        """What is wrong is said in Marathon's words, with the status of its kind."""
        rows = [
            ("POST", "/v2/apps", {"id": "/web"}, 422, "Object is not valid"),
            ("POST", "/v2/apps", {"id": "/web", "cmd": 5}, 400, "Invalid JSON"),
            ("POST", "/v2/apps", [], 400, "Invalid JSON"),
            ("PUT", "/v2/apps", {}, 400, "Invalid JSON"),
            ("PATCH", "/v2/apps", [{}], 400, "Invalid JSON"),
            ("PATCH", "/v2/apps", [{"id": "/no"}], 404, "App '/no' does not exist"),
            ("GET", "/v2/apps/no/app", None, 404, "App '/no/app' does not exist"),
            ("DELETE", "/v2/apps/no", None, 404, "App '/no' does not exist"),
            ("GET", "/v2/apps/no/tasks", None, 404, "App '/no' does not exist"),
            ("GET", "/v2/apps/no/versions", None, 404, "App '/no' does not exist"),
            ("POST", "/v2/apps/no/restart", None, 404, "App '/no' does not exist"),
            ("GET", "/v2/groups/no", None, 404, "Group '/no' does not exist"),
            ("DELETE", "/v2/deployments/no", None, 404, "DeploymentPlan no does not exist"),
            ("POST", "/v2/tasks/delete", {}, 400, "Invalid JSON"),
            ("GET", "/v2/apps?label=((", None, 400, "Can not parse label selector '((' at '(('"),
            ("GET", "/v2/nothing", None, 404, "URI not found: /v2/nothing"),
        ]
        for method, path, body, status, message in rows:
            answer = self.ask(method, path, body)
            self.assertEqual((status, message), (answer[0], answer[1]["message"]), (method, path))

    def test_no_json(self) -> None:
        """A body that is no JSON is 400 with a text for details."""
        status, body = self.ask("POST", "/v2/apps", data=b"{")
        self.assertEqual(400, status)
        self.assertIsInstance(body["details"], str)

    def test_details(self) -> None:
        """Each mistake is named with its path."""
        _, body = self.ask("POST", "/v2/apps", {**WEB, "upgradeStrategy": {"minimumHealthCapacity": 2}})
        self.assertEqual(
            [{"path": "/upgradeStrategy/minimumHealthCapacity", "errors": ["is greater than 1"]}],
            body["details"],
        )

    def test_embed(self) -> None:
        """Tasks come when they are asked for, under any prefix; counts and deployments always."""
        self.ask("POST", "/v2/apps", WEB)
        self.cluster.rest()
        (app,) = self.ask("GET", "/v2/apps")[1]["apps"]
        self.assertNotIn("tasks", app)
        self.assertEqual((1, []), (app["tasksRunning"], app["deployments"]))
        for name in ("tasks", "apps.tasks", "app.tasks", "group.apps.tasks", "apps.failures"):
            (app,) = self.ask("GET", f"/v2/apps?embed={name}")[1]["apps"]
            self.assertEqual("TASK_RUNNING", app["tasks"][0]["state"], name)
        app = self.ask("GET", "/v2/apps//shop/web")[1]["app"]
        self.assertEqual(1, len(app["tasks"]))

    def test_filters(self) -> None:
        """id, cmd and label narrow the list."""
        self.ask("POST", "/v2/apps", WEB)
        for query, count in (
            ("id=shop", 1),
            ("id=other", 0),
            ("cmd=sleep", 1),
            ("cmd=run", 0),
            ("label=tier==front", 1),
            ("label=tier!=front", 0),
        ):
            self.assertEqual(count, len(self.ask("GET", f"/v2/apps?{query}")[1]["apps"]), query)

    def test_group_listing(self) -> None:
        """``/v2/apps/group/*`` lists what is in a group."""
        self.ask("POST", "/v2/apps", WEB)
        self.ask("POST", "/v2/apps", {**WEB, "id": "/other"})
        self.assertEqual(["/shop/web"], [app["id"] for app in self.ask("GET", "/v2/apps/shop/*")[1]["*"]])
        self.assertEqual(2, len(self.ask("GET", "/v2/apps/*")[1]["*"]))

    def test_put(self) -> None:
        """PUT makes what is not there, changes what is, and is locked while it does."""
        self.assertEqual(201, self.ask("PUT", "/v2/apps/web", {"cmd": "x"})[0])
        status, body = self.ask("PUT", "/v2/apps/web", {"instances": 2})
        self.assertEqual(409, status)
        self.assertEqual(list(self.cluster.state.underway), [one["id"] for one in body["deployments"]])
        self.assertEqual(200, self.ask("PUT", "/v2/apps/web?force=true", {"instances": 2})[0])
        self.cluster.rest()
        self.assertEqual(
            ("x", 2), (self.cluster.state.app("/web").cmd, len(self.cluster.state.tasks("/web")))
        )

    def test_put_whole(self) -> None:
        """With partialUpdate=false what the body leaves out is gone."""
        self.ask("POST", "/v2/apps", WEB)
        self.cluster.rest()
        self.ask("PUT", "/v2/apps/shop/web?partialUpdate=false", {"cmd": "y"})
        self.assertEqual({}, dict(self.cluster.state.app("/shop/web").labels))

    def test_list(self) -> None:
        """PUT of a list makes and changes in one deployment."""
        self.ask("POST", "/v2/apps", WEB)
        self.cluster.rest()
        status, body = self.ask(
            "PUT", "/v2/apps", [{"id": "/shop/web", "instances": 2}, {"id": "/new", "cmd": "x"}]
        )
        self.assertEqual((200, {"version", "deploymentId"}), (status, set(body)))
        (deployment,) = self.ask("GET", "/v2/deployments")[1]
        self.assertEqual(["/new", "/shop/web"], deployment["affectedApps"])
        self.assertEqual((1, 2) if deployment["currentStep"] == 1 else (2, 2),
                         (deployment["currentStep"], deployment["totalSteps"]))  # fmt: skip
        self.cluster.rest()
        self.assertEqual(2, len(self.cluster.state.tasks("/shop/web")))
