"""The hosts whose rules are ACLs before or after the maps."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.acl_placement import AclPlacement
from marathonlb.routing.precedence import wishes
from marathonlb.routing.services.model import Service
from tests.routing.apps import service


def placed(*services: Service) -> tuple[set[str], set[str]]:
    """The hosts before and after the maps; an app whose id begins with /own has an overridden template."""
    won = {each.key: wishes(each) for each in services}
    placement = AclPlacement(services, won, lambda each: each.app_id.startswith("/own"))
    return placement.before_maps, placement.after_maps


PLAIN = service("plain", 1, hosts=("b.a.test", "z.test", "*.b.a.test", "*.test"))


class PlacementTests(SynchronousTestCase):
    """Each pass, with the services that it is for."""

    def test_plain(self) -> None:
        """Hosts without labels that need ACLs are all in the maps."""
        self.assertEqual((set(), set()), placed(PLAIN))

    def test_exact(self) -> None:
        """A weight, a path that ignores case and an overridden template put an exact host before the maps."""
        for app_id, more in (
            ("a", {"weight": 1}),
            ("a", {"ignore_path_case": True}),
            ("own", {}),
        ):
            self.assertEqual(({"x.test"}, set()), placed(service(app_id, 2, hosts=("x.test",), **more)))

    def test_wildcard_with_a_path(self) -> None:
        """A wildcard with a path stands after the maps, with the wildcards that overlap it, and no exact host."""
        deep = service("a", 2, hosts=("*.a.test",), paths=("/x",))
        self.assertEqual((set(), {"*.a.test", "*.b.a.test", "*.test"}), placed(PLAIN, deep))

    def test_weighted_wildcard(self) -> None:
        """A wildcard with a weight stands before the maps, with all that it covers and all that overlaps those."""
        heavy = service("a", 2, hosts=("*.a.test",), weight=1)
        before, after = placed(PLAIN, heavy)
        self.assertEqual({"*.a.test", "b.a.test", "*.b.a.test", "*.test", "z.test"}, before)
        self.assertEqual(set(), after)

    def test_negative_exact_host(self) -> None:
        """The wildcards above a host of negative weight stand before the maps, and what they cover does, too."""
        light = service("a", 2, hosts=("c.z.test",), weight=-1)
        other = service("b", 3, hosts=("elsewhere.net",))
        before, after = placed(PLAIN, light, other)
        self.assertEqual({"c.z.test", "*.test", "b.a.test", "z.test", "*.b.a.test"}, before)
        self.assertEqual(set(), after)

    def test_deferred(self) -> None:
        """An overridden template of negative weight stands after the maps; below that of wildcards, after all these."""
        for weight, wildcards in ((-1, set()), (-3, {"*.b.a.test", "*.test"})):
            own = service("own", 2, hosts=("x.net",), weight=weight)
            self.assertEqual((set(), {"x.net"} | wildcards), placed(PLAIN, own), weight)

    def test_without_maps(self) -> None:
        """Without maps every host has ACLs, and none stand after them."""
        placement = AclPlacement.everything({PLAIN.key: wishes(PLAIN)})
        self.assertEqual((set(PLAIN.hosts), set()), (placement.before_maps, placement.after_maps))
