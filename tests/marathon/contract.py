"""The contract of `IMarathon`, run against the fake, and against the real client with a server behind it."""

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
    """A mixin for a `TestCase` that sets ``marathon`` and changes its answers."""

    marathon: IMarathon

    def has(self, *apps: App) -> None:
        """Run exactly these apps from now on."""
        raise NotImplementedError

    def garbles(self, app_id: str) -> None:
        """Make this app unreadable from now on."""
        raise NotImplementedError

    def fails(self) -> None:
        """Give no answer from now on."""
        raise NotImplementedError

    def has_no_leader(self) -> None:
        """Elect no leader from now on."""
        raise NotImplementedError

    async def test_interface(self: Any) -> None:
        """It provides the interface."""
        self.assertTrue(verifyObject(IMarathon, self.marathon))

    async def test_everything(self: Any) -> None:
        """All apps come with their tasks, and the answer has the URL of its Marathon."""
        self.has(SHOP, CART)
        answer: AppsAnswer = await self.marathon.apps()
        self.assertEqual({app.id: app for app in answer.apps}, {"/shop": SHOP, "/shop/cart": CART})
        self.assertEqual((answer.unreadable, answer.left_out), ((), ()))
        self.assertTrue(answer.url.startswith("http://"))

    async def test_nothing(self: Any) -> None:
        """An empty list of apps is an answer."""
        self.has()
        self.assertEqual((await self.marathon.apps()).apps, ())

    async def test_one(self: Any) -> None:
        """One app is returned alone."""
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
        """Without an answer every request fails with a `SourceError`; none returns an empty answer."""
        self.has(SHOP)
        self.fails()
        for ask in (self.marathon.apps, lambda: self.marathon.app("/shop"), self.marathon.elected):
            with self.assertRaises(SourceError) as caught:
                await ask()
            self.assertTrue(caught.exception.reason)

    async def test_elected(self: Any) -> None:
        """It returns whether a leader is elected."""
        self.has(SHOP)
        self.assertIs(await self.marathon.elected(), True)
        self.has_no_leader()
        self.assertIs(await self.marathon.elected(), False)

    async def test_avoid(self: Any) -> None:
        """If there is no other Marathon, the one to avoid is asked."""
        self.has(SHOP)
        answer = await self.marathon.apps()
        again = await self.marathon.apps(avoid=answer.url)
        self.assertEqual(again.apps, answer.apps)
