-- name: set_timeouts
-- A migration may take its time, but must not queue traffic behind a lock it waits for.
set statement_timeout = 0; set lock_timeout = '30s';

-- name: reset_timeouts
-- Give the connection back as it was.
reset statement_timeout; reset lock_timeout;

-- name: lock
-- One process migrates at a time; the others wait, then find nothing to do.
select pg_advisory_lock(7308895158395168115);

-- name: unlock
-- Let the next process look.
select pg_advisory_unlock(7308895158395168115);

-- name: is_set_up
-- Whether the tier has been decided.
select to_regclass('sark.storage') is not null;

-- name: kept_tier
-- The tier that was decided on.
select tier from sark.storage;

-- name: may_create_timescaledb
-- Whether TimescaleDB is loaded and allowed, but not in this database yet. Which libraries are loaded may not everybody
-- read; that its loader has brought its settings, may.
select
  exists (select from pg_settings where name = 'timescaledb.max_background_workers')
  and exists (select from pg_available_extensions where name = 'timescaledb' and installed_version is null)
  and (
    (select rolsuper from pg_roles where rolname = current_user)
    or has_database_privilege(current_database(), 'create')
      and exists (select from pg_available_extension_versions where name = 'timescaledb' and trusted)
  );

-- name: create_timescaledb
-- Bring TimescaleDB into this database.
create extension if not exists timescaledb;

-- name: highest_tier
-- What this database can be. That functions exist proves nothing: the licence refuses when they are called.
select case
  when not exists (select from pg_extension where extname = 'timescaledb') then 'plain'
  when current_setting('timescaledb.license', true) = 'timescale' then 'tsl'
  else 'apache'
end;

-- name: server
-- What runs here, and whether anything of sark-opa is in it.
select current_setting('server_version'), (select extversion from pg_extension where extname = 'timescaledb'),
  current_setting('timescaledb.license', true), to_regclass('sark.migrations') is not null;

-- name: set_script_timeouts
-- The same for the transaction of a script.
set local statement_timeout = 0; set local lock_timeout = '30s';

-- name: lock_script
-- The same lock, until the end of a script's transaction.
select pg_advisory_xact_lock(7308895158395168115);

-- name: refuse_if_migrated_meanwhile
-- A script is for the database as it was when the script was written.
do $$ begin
  if (select count(*) from sark.migrations where number > 0) <> %(applied)s then
    raise exception 'this script is for a database with %(applied)s migrations; print it again';
  end if;
end $$;

-- name: create_schema
-- Everything of sark-opa lives here.
create schema if not exists sark;

-- name: create_history
-- What was applied. Number 0 stands for all functions together.
create table if not exists sark.migrations (
  number integer primary key,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default clock_timestamp()
);

-- name: history
-- What was applied, in order.
select number, name, checksum, applied_at from sark.migrations order by number;

-- name: record
-- Remember what was applied.
insert into sark.migrations (number, name, checksum) values (%(number)s, %(name)s, %(checksum)s)
on conflict (number) do update set checksum = excluded.checksum, applied_at = excluded.applied_at;

-- name: trust_function_bodies
-- Functions call each other, so they cannot all be checked in the order they are created.
set local check_function_bodies = off;
