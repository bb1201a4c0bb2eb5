"""Files that list certificates (``crt-list``): HAProxy cuts off a ``bind`` line of too many words."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence

from marathonlb.base.files import replace
from marathonlb.config.templates.variables import LIST_SUFFIX

MAX_ARGUMENTS = 20
"""Maximum number of certificates on a ``bind`` line, which HAProxy cuts off after 64 words; more go into a list."""


class CertificateLists:
    """
    The directory of certificate lists.

    :param directory: makes the directory and returns its path.
    """

    def __init__(self, directory: Callable[[], str]) -> None:
        self._directory = directory

    def write(self, files: Sequence[str]) -> str:
        """
        Write a list and return its path.

        The name follows from the text, so a file that exists is never changed.

        :raises OSError: it cannot be written.
        """
        text = "".join(f"{file}\n" for file in files)
        path = os.path.join(self._directory(), hashlib.sha256(text.encode()).hexdigest()[:16] + LIST_SUFFIX)
        if not os.path.exists(path):
            replace(path, text, durable=True, mode=0o644)
        return path
