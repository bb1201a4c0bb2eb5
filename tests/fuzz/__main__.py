"""
Random hostile apps, one after another: ``make fuzz SEED=1 CASES=1000 SECONDS=300``.

Prints each fault with its seed and the smallest app that still makes it; exit status 1 where there was one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import msgspec

from tests.fuzz.clusters import Cluster, cluster, smaller
from tests.fuzz.judge import judge


def shrunk(case: Cluster, fault: str) -> Cluster:
    """The smallest case, label by label, with a fault of the same kind."""
    kind = fault.split()[:2]
    while True:
        found = next(
            (each for each in smaller(case) if any(f.split()[:2] == kind for f in judge(each))), None
        )
        if found is None:
            return case
        case = found


def shown(case: Cluster) -> str:
    """A case for people, long values cut."""
    data = msgspec.to_builtins(case.hostile)
    labels = {name: _cut(text) for name, text in data["labels"].items()}
    return json.dumps({**data, "id": _cut(data["id"]), "labels": labels, "policy": case.policy}, default=str)


def _cut(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:90]}… {len(text)} characters …{text[-60:]}"


def main(arguments: list[str]) -> int:
    """Run until the cases or the time are over."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first case; the next ones follow")
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=300.0, help="after which no further case begins")
    options = parser.parse_args(arguments)
    begun, failed, seen = time.monotonic(), 0, set[str]()
    number = 0
    for number in range(options.cases):
        if time.monotonic() - begun > options.seconds:
            break
        case = cluster(options.seed + number)
        faults = judge(case)
        failed += bool(faults)
        for fault in faults:
            kind = " ".join(fault.split()[:4])
            if kind not in seen:
                seen.add(kind)
                print(f"seed {options.seed + number}: {fault}\n  {shown(shrunk(case, fault))}")
                break
    print(
        f"{number + 1} cases from seed {options.seed} in {time.monotonic() - begun:.0f} s, {failed} with a fault"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
