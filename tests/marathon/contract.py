"""What every `IMarathon` must do: run against the fake, and against the real client with a server behind it."""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from marathonlb.errors import SourceError
from marathonlb.marathon.interfaces import AppsAnswer, IMarathon
from marathonlb.marathon.model import App, Port, Task

SHOP = App(
    id="/shop",
    labels={"HAPROXY_GROUP": "external"},
    ports=(Port(10000),),
    tasks=(Task("shop.1", "agent1", (31000,), (), "TASK_RUNNING"),),
    instances=1,
    version="2018-04-15T14:39:38.264Z",
    config_changed_at="2018-04-15T14:39:38.264Z",
)
CART = App(id="/shop/cart", labels={"HAPROXY_0_VHOST": "cart.example.com"})


class MarathonContract:
    """Mixed into a `TestCase` that sets ``marathon`` and says how to change what it answers."""

    marathon: IMarathon

    def has(self, *apps: App) -> None:
        """From now on exactly these run."""
        raise NotImplementedError

    def garbles(self, app_id: str) -> None:
        """From now on this app cannot be read."""
        raise NotImplementedError

    def fails(self) -> None:
        """From now on there is no answer."""
        raise NotImplementedError

    def has_no_leader(self) -> None:
        """From now on nobody is elected."""
        raise NotImplementedError

    async def test_interface(self: Any) -> None:
        """It provides what the reconciler wants."""
        self.assertTrue(verifyObject(IMarathon, self.marathon))

    async def test_everything(self: Any) -> None:
        """All apps come with their tasks, and the answer says who gave it."""
        self.has(SHOP, CART)
        answer: AppsAnswer = await self.marathon.apps()
        self.assertEqual({app.id: app for app in answer.apps}, {"/shop": SHOP, "/shop/cart": CART})
        self.assertEqual((answer.unreadable, answer.left_out), ((), ()))
        self.assertTrue(answer.url.startswith("http://"))

    async def test_nothing(self: Any) -> None:
        """No apps is an answer, where Marathon says so."""
        self.has()
        self.assertEqual((await self.marathon.apps()).apps, ())

    async def test_one(self: Any) -> None:
        """One app comes alone."""
        self.has(SHOP, CART)
        self.assertEqual((await self.marathon.app("/shop/cart")).apps, (CART,))

    async def test_gone(self: Any) -> None:
        """An app that is gone is an empty answer."""
        self.has(SHOP)
        answer = await self.marathon.app("/shop/cart")
        self.assertEqual((answer.apps, answer.unreadable), ((), ()))

    async def test_unreadable(self: Any) -> None:
        """An app that cannot be read is named, alone and among others."""
        self.has(SHOP)
        self.garbles("/odd")
        answer = await self.marathon.apps()
        self.assertEqual([app.id for app in answer.apps], ["/shop"])
        self.assertEqual([each.app_id for each in answer.unreadable], ["/odd"])
        answer = await self.marathon.app("/odd")
        self.assertEqual(answer.apps, ())
        self.assertEqual([each.app_id for each in answer.unreadable], ["/odd"])

    async def test_failure(self: Any) -> None:
        """Without an answer every question fails with a `SourceError`, and none is answered by nothing."""
        self.has(SHOP)
        self.fails()
        for ask in (self.marathon.apps, lambda: self.marathon.app("/shop"), self.marathon.elected):
            with self.assertRaises(SourceError) as caught:
                await ask()
            self.assertTrue(caught.exception.reason)

    async def test_elected(self: Any) -> None:
        """It says whether there is a leader."""
        self.has(SHOP)
        self.assertIs(await self.marathon.elected(), True)
        self.has_no_leader()
        self.assertIs(await self.marathon.elected(), False)

    async def test_avoid(self: Any) -> None:
        """Where there is nobody else to ask, the one to avoid is asked all the same."""
        self.has(SHOP)
        answer = await self.marathon.apps()
        again = await self.marathon.apps(avoid=answer.url)
        self.assertEqual(again.apps, answer.apps)
