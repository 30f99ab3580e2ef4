"""Hydra looks for places of configurations here. It imports this file at every start."""

from __future__ import annotations

from pathlib import Path

from hydra._internal.core_plugins.file_config_source import FileConfigSource


class OwnFolder(FileConfigSource):
    """The folder that a user works in (``hydra.searchpath``); what holds YAML files in it is a group.

    Hydra takes any folder for a group, so that beside one that is called ``run`` or ``seed`` for another
    reason ``run=DIR`` would be refused as an unknown choice.
    """

    @staticmethod
    def scheme() -> str:
        """Return the word before ``://`` in the search path."""
        return "own"

    def is_group(self, config_path: str) -> bool:
        """Return whether a folder, relative to this one, is a group."""
        folder = Path(self.path, config_path)
        return super().is_group(config_path) and (not config_path or any(folder.glob("*.yaml")))
