"""`sark-opa plugin …`: the author's tools and the operator's, each command's work done in `sark_opa.kit`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from sark_opa.cli import plugin_output as output
from sark_opa.cli.options import Json
from sark_opa.errors import ConfigurationError
from sark_opa.kit import bench as benching
from sark_opa.kit import cases, index, install, keys, pack, scaffold, service
from sark_opa.kit import check as checking
from sark_opa.sandbox.packages.signature import Trust, read_keys

PASSPHRASE_VARIABLE = "SARK_SIGNING_PASSPHRASE"  # noqa: S105  # its name, not the word itself

app = typer.Typer(
    help="Write plugins, try them out, hand them on: new, check, test, bench, pack, sign, install.",
    no_args_is_help=True,
)

Paths = Annotated[list[Path], typer.Argument(help="Plugins: folders, .py files, .sarkplugin files.")]
Keys = Annotated[
    list[Path] | None,
    typer.Option(help="Public keys that are trusted: a file, or a folder of .pub.pem files; may be repeated."),
]
Index = Annotated[Path | None, typer.Option(help="Folder of .sarkplugin files to look plugins up in.")]
Into = Annotated[Path, typer.Option(help="Folder plugins are installed in.")]


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the plugin: lower case letters, digits, _ and -.")],
    folder: Annotated[Path, typer.Option(help="Where the plugin's own folder is made.")] = Path(),
) -> None:
    """Write a new plugin that works: plugin.yaml, plugin.py, cases.yaml, README.md. It never writes over anything."""
    output.made(scaffold.new(name, folder))


@app.command()
def check(paths: Paths, json: Json = False) -> None:
    """Say everything that is wrong with plugins, with line and remedy. Exits 1 if anything is.

    Sources are read inside a sandbox and run there once.
    """
    raise typer.Exit(output.faults(asyncio.run(checking.check(paths)), count=len(paths), json=json))


@app.command("test")
def run_cases(
    paths: Annotated[list[Path], typer.Argument(help="Plugins with cases: folders, .sarkplugin files.")],
    case: Annotated[str | None, typer.Option(help="Run only the case of this name.")] = None,
    json: Json = False,
) -> None:
    """Run the cases of plugins in the sandbox, each in a process of its own. Exits 1 if one fails.

    What the plugin printed is shown with a case that fails.
    """
    results = [(path, asyncio.run(cases.run(path, only=case))) for path in paths]
    raise typer.Exit(output.cases(results, json=json))


@app.command()
def bench(
    path: Annotated[Path, typer.Argument(help="Plugin: a folder, .py file or .sarkplugin file.")],
    calls: Annotated[int, typer.Option(min=1, max=1_000_000, help="Questions to ask.")] = 2_000,
    concurrency: Annotated[int, typer.Option(min=1, max=200, help="Questions asked at the same time.")] = 1,
    question: Annotated[
        Path | None,
        typer.Option(help="YAML file with the fields of a case's step; else the first step that is allowed is asked."),
    ] = None,
    json: Json = False,
) -> None:
    """Measure a plugin in the sandbox: time of a call, calls a second, time to load, memory."""
    with output.progress(calls, shown=not json) as advance:
        figures = asyncio.run(
            benching.run(
                path, calls=calls, concurrency=min(concurrency, calls), question_file=question, progress=advance
            )
        )
    output.figures(figures, json=json)


@app.command("pack")
def pack_plugin(
    path: Annotated[Path, typer.Argument(help="The plugin's folder.")],
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; NAME-VERSION.sarkplugin here by default.")
    ] = None,
) -> None:
    """Make one file of a plugin's folder. The same folder gives the same bytes, whenever and wherever it is packed."""
    name, data = pack.pack(path)
    place = Path(name) if out is None else out
    pack.write(place, data)
    output.packed(place, data)


@app.command()
def keygen(
    path: Annotated[Path, typer.Argument(help="Path of the key without an ending; .pem and .pub.pem are written.")],
    passphrase: Annotated[bool, typer.Option("--passphrase", help="Ask for a passphrase to encrypt it with.")] = False,
) -> None:
    """Make a key to sign plugins with. The public half, .pub.pem, is what others need to verify."""
    phrase = os.environ.get(PASSPHRASE_VARIABLE)
    if passphrase and not phrase:
        phrase = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    output.keys(*keys.generate(path, phrase if passphrase else None))


@app.command()
def sign(
    file: Annotated[Path, typer.Argument(help="A .sarkplugin file; its signature is put into it.")],
    key: Annotated[Path, typer.Option(help="Private key, as keygen makes it.")],
) -> None:
    """Sign a packed plugin. The passphrase of an encrypted key is asked for, or taken from SARK_SIGNING_PASSPHRASE."""
    phrase = os.environ.get(PASSPHRASE_VARIABLE)
    try:
        private = keys.read_private(key, phrase)
    except keys.PassphraseNeededError:
        private = keys.read_private(key, typer.prompt("Passphrase", hide_input=True, err=True))
    output.signed(file, pack.sign(file, private))


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A .sarkplugin file.")],
    keys: Annotated[
        list[Path], typer.Option(help="Public keys that are trusted: a file, or a folder of .pub.pem files.")
    ],
) -> None:
    """Say who signed a packed plugin. Exits 1 unless that is one of the keys and not a byte was changed."""
    output.verified(*pack.verify(file, Trust(read_keys(keys), "refuse")))


@app.command("install")
def install_plugins(
    sources: Annotated[
        list[str],
        typer.Argument(help="What to install: .sarkplugin files, or requirements such as 'rate_limit>=2,<3'."),
    ],
    index: Index = None,
    into: Into = Path("plugins"),
    keys: Keys = None,
    require_signed: Annotated[
        bool, typer.Option("--require-signed", help="Take only plugins that are signed with one of the keys.")
    ] = False,
    pre: Annotated[bool, typer.Option("--pre", help="Take pre-releases, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Install plugins with what they require, and note in plugins.lock what exactly was installed.

    The newest versions that satisfy everything are taken; what is installed already keeps its version if it can.
    """
    made = install.plan(sources, folder=index, into=into, trust=_trust(keys, require_signed), prereleases=pre)
    if not dry_run:
        install.carry_out(made)
    output.plan(made, done=not dry_run)


@app.command("list")
def list_plugins(
    into: Into = Path("plugins"),
    index: Index = None,
    url: Annotated[str | None, typer.Option(help="List what this running service has loaded.")] = None,
    token_env: Annotated[str, typer.Option(help="Variable with a token of that service.")] = "SARK_TOKEN",  # noqa: S107  # same
    keys: Keys = None,
    json: Json = False,
) -> None:
    """List plugins: those installed in a folder, those of an index, or those a running service has loaded."""
    if url is not None:
        output.loaded(service.plugins(url, os.environ.get(token_env, "")), json=json)
    else:
        _list_files(index, into, _trust(keys, require_signed=False), json=json)


def _list_files(folder: Path | None, into: Path, trust: Trust, *, json: bool) -> None:
    if folder is not None:
        found = index.read(folder, trust)
        output.entries(found.entries, found.left_out, json=json)
    else:
        output.entries(install.installed(into, trust), (), json=json)


def _trust(paths: list[Path] | None, require_signed: bool) -> Trust:  # noqa: FBT001  # as the option is
    if require_signed and not paths:
        raise ConfigurationError("--require-signed needs --keys: whose signatures are trusted?")
    policy: Literal["allow", "refuse"] = "refuse" if require_signed else "allow"
    return Trust(read_keys(paths or ()), policy)
