"""
What is generated from the tables of the code: the text of ``--longhelp`` and the files under docs/.

``python -m marathonlb.documentation DIRECTORY`` writes the files; ``make docs`` calls it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from marathonlb.options.markdown import longhelp as joined
from marathonlb.options.markdown import options_markdown


def documents() -> dict[str, str]:
    """The generated files of docs/, by name."""
    return {"options.md": options_markdown()}


def longhelp() -> str:
    """Options, labels and templates as one Markdown document."""
    return joined(text for name, text in documents().items() if name != "options.md")


def main(directory: str) -> None:
    """Write every generated file into a directory."""
    for name, text in documents().items():
        (Path(directory) / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
