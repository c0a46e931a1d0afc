"""The plugins the settings name, and whose uploads are taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from sark_opa import bundled
from sark_opa.errors import ConfigurationError
from sark_opa.evaluation.plugin_set import Configured
from sark_opa.sandbox.packages import manifest
from sark_opa.sandbox.packages.signature import Trust, read_keys
from sark_opa.settings import Settings


def plugins_of(settings: Settings) -> list[Configured]:
    """The plugins of `SARK_PLUGINS`, each with its part of `SARK_PLUGINS_CONFIG_FILE`.

    Raises:
        ConfigurationError: there is no such plugin, or a configuration is nobody's.
        PluginError: a plugin cannot be read.
    """
    configs = configs_of(settings.plugins_config_file)
    folders = [_folder(name) for name in settings.plugins]
    plugins = [Configured(path, configs.pop(_name_of(path), None)) for path in folders]
    if configs:
        raise ConfigurationError(f"SARK_PLUGINS_CONFIG_FILE: {', '.join(sorted(configs))} is not among the plugins")
    return plugins


def configs_of(path: Path | None) -> dict[str, dict[str, Any]]:
    """What the file of `SARK_PLUGINS_CONFIG_FILE` says: plugin name to configuration.

    Raises:
        ConfigurationError: it says something else.
    """
    if path is None:
        return {}
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"SARK_PLUGINS_CONFIG_FILE: {path}: {error}") from error
    if not isinstance(document, dict) or not all(isinstance(value, dict) for value in document.values()):
        raise ConfigurationError(f"SARK_PLUGINS_CONFIG_FILE: {path}: plugin names with their configuration are needed")
    return document


def trust_of(settings: Settings) -> Trust:
    """Whose uploads are taken: with keys, what they have signed; without, everybody's. A setting changes that.

    Raises:
        ConfigurationError: a key cannot be read.
    """
    keys = read_keys(settings.plugin_keys)
    unsigned = settings.plugin_unsigned or ("refuse" if keys else "allow")
    return Trust(keys, unsigned)


def _name_of(path: Path) -> str:
    """What its configuration is listed under: the manifest's name, or a single file's without its ending."""
    found = manifest.read(path).manifest
    return path.stem if found is None else found.name


def _folder(name: str) -> Path:
    if "/" in name:
        return Path(name)
    folder = bundled.folder("plugins") / name
    if not folder.is_dir():
        shipped = ", ".join(sorted(path.name for path in bundled.folder("plugins").iterdir() if path.is_dir()))
        raise ConfigurationError(
            f"SARK_PLUGINS: there is no bundled plugin {name!r}; there are {shipped}, or give a path"
        )
    return folder
