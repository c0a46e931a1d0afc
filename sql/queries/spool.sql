-- The statements of the local spool. It is SQLite, not PostgreSQL: one file of one service process.

-- name: create_spool
-- What the file is called by; the first half of each entry's id.
create table spool (name text not null);

-- name: create_entries
-- One row a settlement or charge that is kept. An entry waits until it is deleted or has a refused_code.
create table entries (
  number integer primary key autoincrement,
  org text not null,
  request_id text not null,
  record blob not null,
  digest blob not null,
  refused_code text,
  refused_message text,
  refused_at text
);

-- name: index_waiting
-- Of each request at most one entry waits; what is refused is in nobody's way.
create unique index entries_waiting on entries (org, request_id) where refused_code is null;

-- name: index_order
-- Those that wait, in order of arrival, however many are refused.
create index entries_order on entries (number) where refused_code is null;

-- name: set_name
-- Name a new spool.
insert into spool (name) values (:name);

-- name: get_name
-- The spool's name.
select name from spool;

-- name: put
-- Keep an entry, unless one of the same request waits.
insert into entries (org, request_id, record, digest) values (:org, :request_id, :record, :digest)
on conflict (org, request_id) where refused_code is null do nothing;

-- name: find_waiting
-- The entry of a request that waits.
select number, record, digest, refused_code, refused_message, refused_at from entries
where org = :org and request_id = :request_id and refused_code is null;

-- name: oldest
-- Those that wait, in order of arrival, but for some.
select number, record, digest, refused_code, refused_message, refused_at from entries
where refused_code is null and number not in (select value from json_each(:skipped))
order by number limit :rows_max;

-- name: one
-- One entry.
select number, record, digest, refused_code, refused_message, refused_at from entries where number = :number;

-- name: all
-- Every entry, in order of arrival.
select number, record, digest, refused_code, refused_message, refused_at from entries order by number;

-- name: all_refused
-- Every entry that was refused, in order of arrival.
select number, record, digest, refused_code, refused_message, refused_at from entries
where refused_code is not null order by number;

-- name: count
-- How many wait, and how many were refused.
select count(*) filter (where refused_code is null), count(*) filter (where refused_code is not null) from entries;

-- name: delete
-- Forget an entry that waits: it is booked.
delete from entries where number = :number and refused_code is null;

-- name: refuse
-- Note why the ledger will not take an entry.
update entries set refused_code = :code, refused_message = :message, refused_at = :at
where number = :number and refused_code is null;

-- name: retry
-- Let a refused entry wait again.
update entries set refused_code = null, refused_message = null, refused_at = null
where number = :number and refused_code is not null;

-- name: drop
-- Forget an entry, whatever its state.
delete from entries where number = :number;
