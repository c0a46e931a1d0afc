"""Installing plugins into a folder, with what they require, and a lock that says what exactly is there."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from packaging.requirements import Requirement
from packaging.version import Version

from sark_opa.errors import PluginError
from sark_opa.kit import index, pack
from sark_opa.kit.index import Entry
from sark_opa.kit.resolve import resolve
from sark_opa.sandbox.packages import archive, manifest, requirement
from sark_opa.sandbox.packages.signature import Trust

LOCK_NAME: Final = "plugins.lock"
LOCK_FORMAT: Final = 1
LOCK_BYTES_MAX: Final = 1 << 20

_FILE: Final = re.compile(rf"[A-Za-z0-9_!+.-]+{re.escape(archive.SUFFIX)}")


class Locked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plugin that is installed: `digest` is that of its archive, `file` its name beside the lock."""

    name: str
    version: str
    digest: str
    file: str


class Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `plugins.lock`: what was asked for, and what was installed for it."""

    format: int = LOCK_FORMAT
    asked: tuple[str, ...] = ()
    plugins: tuple[Locked, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What installing would do.

    Attributes:
        into: the folder.
        lock: the new one.
        new: archives to write.
        kept: plugins that stay as they are.
        replaced: plugins whose archives go.
        left_out: archives of the index that are damaged or not trusted: why.
    """

    into: Path
    lock: Lock
    new: tuple[Entry, ...]
    kept: tuple[Locked, ...]
    replaced: tuple[Locked, ...]
    left_out: tuple[str, ...]


def read_lock(into: Path) -> Lock:
    """The lock of a folder; an empty one where there is none.

    Raises:
        PluginError: it cannot be read.
    """
    path = into / LOCK_NAME
    if not path.exists():
        return Lock()
    content = manifest.content_of(path, LOCK_BYTES_MAX, "no lock is so large")
    try:
        lock = msgspec.json.decode(content, type=Lock)
        for text in lock.asked:
            requirement.parse(text)
        for plugin in lock.plugins:
            Version(plugin.version)
    except ValueError as error:  # msgspec's errors and packaging's are ValueErrors
        raise PluginError(f"{path} cannot be read: {error}", path=str(path)) from error
    if lock.format != LOCK_FORMAT or not all(_FILE.fullmatch(plugin.file) for plugin in lock.plugins):
        raise PluginError(f"{path} is no lock this version can read", path=str(path))
    return lock


def installed(into: Path, trust: Trust, *, leave_out: Collection[str] = ()) -> tuple[Entry, ...]:
    """The archives a folder's lock tells of, each as it was installed; not those of the names to leave out.

    Raises:
        PluginError: an archive is missing, or is another one than was installed.
    """
    found = []
    for plugin in read_lock(into).plugins:
        if plugin.name in leave_out:
            continue
        path = into / plugin.file
        entry = index.entry(path, trust)
        if (entry.digest, entry.manifest.name, entry.manifest.version) != (plugin.digest, plugin.name, plugin.version):
            raise PluginError(f"{path} was changed since it was installed; install it again", path=str(path))
        found.append(entry)
    return tuple(found)


def plan(sources: Sequence[str], *, folder: Path | None, into: Path, trust: Trust, prereleases: bool = False) -> Plan:
    """What is to be done to install plugins.

    Args:
        sources: files, or requirements such as `rate_limit>=2,<3`.
        folder: the index requirements are looked up in.
        into: where to install.
        trust: whose plugins are taken.
        prereleases: take pre-releases also where no requirement names one.

    Raises:
        PluginUnsignedError: a file is not signed with a trusted key, and has to be.
        PluginSignatureError: a file was changed after it was signed.
        PluginError: a source is neither, or nothing fits; the message says who asks for what.
    """
    lock = read_lock(into)
    files, wanted = _sources(sources, trust)
    given = {entry.manifest.name for entry in files}
    there = {entry.key: entry for entry in installed(into, trust, leave_out=given)}
    offered = index.Index((), ()) if folder is None else index.read(folder, trust)
    for entry in offered.entries:
        known = there.get(entry.key)
        if known is not None and known.digest != entry.digest:
            raise PluginError(
                f"{entry.path} and what is installed both are {entry.candidate}, and differ; "
                f"give the file itself to install that one",
                path=str(entry.path),
            )
    known_files = {entry.key: entry for entry in files}
    candidates = {**{entry.key: entry for entry in offered.entries}, **there, **known_files}
    asked = {parsed.name: parsed for parsed in (*map(requirement.parse, lock.asked), *wanted)}
    preferred = {name: version for name, version in there if name not in _wanted_names(wanted)}
    # What is asked for now is chosen first, what was asked for before keeps its version if it can.
    order = [*wanted, *(each for name, each in asked.items() if name not in _wanted_names(wanted))]
    chosen = resolve(
        order, [entry.candidate for entry in candidates.values()], preferred=preferred, prereleases=prereleases
    )
    entries = [candidates[name, candidate.version] for name, candidate in sorted(chosen.items())]
    after = Lock(LOCK_FORMAT, tuple(sorted(map(str, asked.values()))), tuple(map(_locked, entries)))
    return _plan(into, lock, after, entries=entries, given=given, left_out=offered.left_out)


def carry_out(made: Plan) -> None:
    """Install what was planned: the archives first, the lock when they are there, then remove the old ones.

    Raises:
        PluginError: a file cannot be written or removed.
    """
    files = {plugin.name: plugin.file for plugin in made.lock.plugins}
    for entry in made.new:
        pack.write(made.into / files[entry.manifest.name], entry.data)
    content = msgspec.json.format(msgspec.json.encode(made.lock), indent=2) + b"\n"
    pack.write(made.into / LOCK_NAME, content)
    for plugin in made.replaced:
        if plugin.file not in files.values():
            (made.into / plugin.file).unlink(missing_ok=True)


def _plan(
    into: Path,
    before: Lock,
    after: Lock,
    *,
    entries: Iterable[Entry],
    given: Collection[str],
    left_out: tuple[str, ...],
) -> Plan:
    """The difference between two locks; a file that was given is written whatever seems to be there."""
    kept = tuple(plugin for plugin in after.plugins if plugin in before.plugins and plugin.name not in given)
    staying = {plugin.name for plugin in kept}
    new = tuple(entry for entry in entries if entry.manifest.name not in staying)
    replaced = tuple(plugin for plugin in before.plugins if plugin not in after.plugins)
    return Plan(into, after, new, kept, replaced, left_out)


def _locked(entry: Entry) -> Locked:
    name, version = entry.manifest.name, entry.manifest.version
    return Locked(name, version, entry.digest, pack.file_name(name, version))


def _sources(sources: Sequence[str], trust: Trust) -> tuple[list[Entry], list[Requirement]]:
    files, wanted = [], []
    for source in sources:
        path = Path(source)
        if source.endswith(archive.SUFFIX):
            entry = index.entry(path, trust)
            files.append(entry)
            wanted.append(requirement.parse(f"{entry.manifest.name}=={entry.manifest.version}"))
            continue
        try:
            wanted.append(requirement.parse(source))
        except ValueError as error:
            raise PluginError(
                f"{source!r} is neither a {archive.SUFFIX} file nor a requirement such as rate_limit>=2,<3"
            ) from error
    index.unique(files)
    return files, wanted


def _wanted_names(wanted: Iterable[Requirement]) -> set[str]:
    return {each.name for each in wanted}
