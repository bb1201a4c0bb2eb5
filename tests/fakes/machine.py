"""A machine in a directory: its processes in ``/proc``, its init system, its files."""

from __future__ import annotations

import os

from marathonlb.haproxy.process.procfs import Procfs


class FakeMachine:
    """A root directory with processes and an init system in it."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self.procfs = Procfs(os.path.join(self.root, "proc"))
        os.makedirs(os.path.join(self.root, "proc"))

    def has(self, path: str, mode: int = 0o644, text: str = "") -> None:
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)

    def runs(
        self,
        pid: int,
        *arguments: str,
        cwd: str = "/",
        state: str = "S",
        started: int = 7,
        session: int = 0,
        root: str = "/",
    ) -> None:
        directory = os.path.join(self.root, "proc", str(pid))
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, "cmdline"), "w", encoding="utf-8") as file:
            file.write("".join(f"{argument}\0" for argument in arguments))
        fields = " ".join([state, "0", "0", str(session), *(["0"] * 15), str(started), "0"])
        with open(os.path.join(directory, "stat"), "w", encoding="utf-8") as file:
            file.write(f"{pid} (a name) with ) {fields}\n")
        for name, place in (("cwd", cwd), ("root", root)):
            if not os.path.islink(os.path.join(directory, name)):
                os.symlink(place, os.path.join(directory, name))
