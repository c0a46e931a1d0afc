"""Uploads and the audit record in the database: whole, in order, and never rewritten."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from fixtures.database import org
from fixtures.plugins import ask, source_of

from sark_opa.errors import DatabaseUnavailableError, MigrationError, PluginError, SarkError
from sark_opa.evaluation.plugin_set import PYTHON, PluginSet
from sark_opa.evaluation.plugins import Plugins
from sark_opa.metrics import Metrics
from sark_opa.sandbox import PluginHost
from sark_opa.sandbox.packages.signature import TRUST_ALL
from sark_opa.storage import tokens
from sark_opa.storage.audit import Actor, AuditLog, Event
from sark_opa.storage.plugins import PluginStore, Upload
from sark_opa.storage.pool import open_pool

pytestmark = pytest.mark.anyio
ADA = Actor("ada", "admin")


def upload(content=b"one", **changes):
    """An upload of version 1.0.0."""
    fields = {"version": "1.0.0", "media_type": PYTHON, "digest": "sha256:1", "config": {}, "enabled": True}
    return Upload(content=content, **(fields | changes))


def event(action="plugin.upload", subject="a", **changes):
    """What ada did to `a`."""
    return Event(ADA, action, subject, **changes)


@pytest.fixture
def store(pool):
    """The store on this test's database."""
    return PluginStore(pool)


@pytest.fixture
def log(pool):
    """The audit record of this test's database."""
    return AuditLog(pool)


async def test_an_upload_comes_back_as_it_was_stored(store):
    """Every byte of it, with its configuration."""
    given = upload(bytes(range(256)), config={"limit": 5, "deep": [None, {"a": 1.5}]})
    head = await store.put("a", given, event())
    assert (head.enabled, head.uploaded, head.version, head.digest) == (True, True, "1.0.0", "sha256:1")
    stored = await store.get("a")
    assert (stored.head, stored.upload) == (head, given)
    assert await store.heads() == {"a": head}
    assert await store.get("b") is None


async def test_each_change_has_a_larger_revision_which_is_its_event(store, log):
    """And only some changes ask for it to be loaded or released."""
    first = await store.put("a", upload(), event())
    disabled = await store.change("a", {"enabled": False}, event("plugin.disable"))
    released = await store.change("a", {"release": True}, event("plugin.release"))
    configured = await store.change("a", {"config": {"x": 1}, "load": True}, event("plugin.configure"))
    replaced = await store.put("a", upload(b"two", enabled=False), event())
    heads = [first, disabled, released, configured, replaced]
    assert [head.revision for head in heads] == sorted({head.revision for head in heads})
    assert [head.enabled for head in heads] == [True, False, False, False, False]
    assert [head.load_revision for head in heads] == [
        *[first.revision] * 3,
        configured.revision,
        replaced.revision,
    ]
    assert [head.release_revision for head in heads] == [0, 0, *[released.revision] * 3]
    events = await log.read(limit=10)
    assert [found.id for found in reversed(events)] == [head.revision for head in heads]
    assert {(found.actor, found.role, found.subject, found.outcome) for found in events} == {
        ("ada", "admin", "a", "ok")
    }


async def test_a_switch_of_a_plugin_of_the_settings_has_a_row_without_content(store):
    """An upload of that name comes into it; removing knows the difference."""
    head = await store.change("a", {"enabled": False}, event("plugin.disable"))
    assert (head.uploaded, head.enabled, head.load_revision) == (False, False, 0)
    assert await store.get("a") is None
    assert await store.remove("a", event("plugin.remove")) is False
    assert (await store.put("a", upload(), event())).uploaded is True
    assert await store.remove("a", event("plugin.remove")) is True
    assert await store.remove("a", event("plugin.remove")) is False
    assert await store.heads() == {}


async def test_what_is_not_done_is_not_on_record(store, log):
    """Removing what is not there, storing what the database refuses."""
    await store.remove("a", event("plugin.remove"))
    with pytest.raises(SarkError):
        await store.put("a", upload(version=None), event())
    assert await log.read(limit=10) == []
    assert await store.heads() == {}


async def test_of_many_at_once_the_last_is_the_one_that_stays(database_url):
    """Its revision is the largest, its content is there, and every one of them is on record."""
    async with open_pool(database_url, size_max=8) as pool:
        store = PluginStore(pool)

        async def put(number):
            digest = f"sha256:{number}"
            return await store.put("a", upload(str(number).encode(), digest=digest), event())

        heads = await asyncio.gather(*(put(number) for number in range(40)))
        last = max(heads, key=lambda head: head.revision)
        stored = await store.get("a")
        assert stored.head == last
        assert stored.upload.content == last.digest.removeprefix("sha256:").encode()
        assert len({head.revision for head in heads}) == 40
        assert len(await AuditLog(pool).read(limit=100)) == 40


@pytest.mark.parametrize("statement", ["update {} set actor = 'eve'", "delete from {}", "truncate {}"])
async def test_the_record_is_append_only(log, execute, statement):
    """Not even its owner edits it by mistake."""
    await log.write(event())
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        execute(statement.format("sark.audit_events"))
    assert len(await log.read(limit=10)) == 1


async def test_the_record_takes_any_text(log):
    """Also what PostgreSQL has no room for; a refusal has a code, what was done has none."""
    name = "a\x00b \\u0000 'x'; drop table sark.plugins -- \u2028 💥"
    await log.write(event(subject=name, outcome="refused", code="unknown_plugin", details={name: [name]}))
    (found,) = await log.read(limit=1)
    assert found.subject == name.replace("\x00", "�")
    for wrong in (event(outcome="refused"), event(code="x"), event(outcome="maybe")):
        with pytest.raises(SarkError):
            await log.write(wrong)


async def test_the_record_is_filtered(log):
    """By action, subject, and where the last page ended."""
    for number in range(4):
        await log.write(event(f"plugin.{number % 2}", str(number // 2)))
    assert [found.subject for found in await log.read(limit=10, action="plugin.0")] == ["1", "0"]
    assert [found.action for found in await log.read(limit=10, subject="1")] == ["plugin.1", "plugin.0"]
    latest = (await log.read(limit=1))[0].id
    assert len(await log.read(limit=10, before=latest)) == 3


async def test_tokens_are_on_record(pool, log):
    """Made, replaced and revoked; the same token again is nothing new. Its text is nowhere."""
    token = await tokens.create(pool, name="gateway", role="facts")
    await tokens.register(pool, name="gateway", role="facts", token=token)
    await tokens.register(pool, name="gateway", role="admin", token=token)
    await tokens.revoke(pool, "gateway")
    found = await log.read(limit=10)
    assert [(one.action, one.subject, one.actor) for one in found] == [
        ("token.revoke", "gateway", "cli"),
        ("token.create", "gateway", "cli"),
        ("token.create", "gateway", "cli"),
    ]
    assert [one.details.get("role") for one in found] == [None, "admin", "facts"]
    assert token not in str(found)


async def test_an_account_that_is_refused_is_not_told_to_have_been_set(ledger, log):
    """The event is written in the step that sets it, or not at all."""
    await ledger.put_account(org(), audit_event=event("account.put", "acme").json())
    with pytest.raises(SarkError):
        await ledger.put_account(org(timezone="Moon/Base"), audit_event=event("account.put", "acme").json())
    assert len(await log.read(limit=10)) == 1


@pytest.fixture
async def plugins(store):
    """The use-cases with a host of their own; beside them the host."""
    host = PluginHost()
    await host.start()
    running = PluginSet(host=host, store=store, metrics=Metrics(), trust=TRUST_ALL)
    await running.start([])
    yield Plugins(running, store), running
    await host.close()


def saying(reason):
    """A plugin that says so."""
    return source_of(f"return PolicyDecision(allowed=True, reason={reason!r})").encode()


async def reasons(running):
    """What the plugins say."""
    return [verdict.reason for verdict in await ask(running.host)]


async def test_what_cannot_be_stored_is_not_run(plugins, execute):
    """The first version answers on; whether an upload, a switch or a removal failed."""
    asked, running = plugins
    await asked.put("written", saying("first"), ADA, media_type=PYTHON, enabled=None)
    for name in ("put_plugin_v1", "change_plugin_v1", "remove_plugin_v1"):
        execute(f"alter function sark.{name} rename to {name}_gone")
    listed = asked.listed()
    for change in (
        asked.put("written", saying("second"), ADA, media_type=PYTHON, enabled=None),
        asked.put("written", saying("second"), ADA, media_type=PYTHON, enabled=False),
        asked.switch("written", ADA, enabled=False),
        asked.configure("written", {}, ADA),
        asked.reload("written", ADA),
        asked.release("written", ADA),
        asked.remove("written", ADA),
    ):
        with pytest.raises(MigrationError):
            await change
        assert asked.listed() == listed
        assert await reasons(running) == ["first"]


async def test_a_version_that_does_not_take_over_is_taken_back(plugins, store):
    """What its predecessor remembers would be lost with it; the database has the predecessor again, too."""
    asked, running = plugins
    state = """
    def snapshot(self):
        return {"calls": self.calls}

    def restore(self, state):
        self.calls = state["calls"]
"""
    first = saying("first") + state.encode()
    await asked.put("written", first, ADA, media_type=PYTHON, enabled=None)
    assert await reasons(running) == ["first"]
    second = (saying("second") + state.encode()).replace(b'state["calls"]', b'state["missing"]')
    with pytest.raises(PluginError):
        await asked.put("written", second, ADA, media_type=PYTHON, enabled=None)
    assert await reasons(running) == ["first"]
    assert (await store.get("written")).upload.content == first
    await running.sync()
    assert await reasons(running) == ["first"]


async def test_while_the_database_is_away_what_runs_goes_on(plugins, database_url, server_url):
    """A look that finds nothing changes nothing."""
    asked, running = plugins
    await asked.put("written", saying("first"), ADA, media_type=PYTHON, enabled=None)
    with psycopg.connect(server_url, autocommit=True) as connection:
        name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
        connection.execute(f'alter database "{name}" allow_connections false')
        connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,))
        for _ in range(3):
            with pytest.raises(DatabaseUnavailableError):
                await running.sync()
        assert await reasons(running) == ["first"]
        connection.execute(f'alter database "{name}" allow_connections true')
