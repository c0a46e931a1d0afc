-- Databases as cells, and organisations that move between them.

-- name: closed
-- Orgs of which nothing may be written here: whether each was moved away for good, and to where or from where.
select org, state = 'moved', peer from sark.org_moves where state not in ('copying', 'active');

-- name: moves
-- The latest move of each org that had one.
select org, move_id, direction, state, peer, progress, started_at, closed_at, finished_at, dropped_at
from sark.org_moves order by org;

-- name: move
-- The latest move of an org.
select org, move_id, direction, state, peer, progress, started_at, closed_at, finished_at, dropped_at
from sark.org_moves where org = %(org)s;

-- name: identity
-- What tells this database from every other.
select (select system_identifier::text from pg_control_system()), current_database()::text;

-- name: tables
-- Tables that are kept by org, in the order in which they are written.
select name, part, guarded from sark.org_tables_v1();

-- name: has_org
-- Whether there is an org of that name.
select exists (select from sark.accounts where org = %(org)s and account = %(org)s);

-- name: is_there
-- Whether anything of an org is in the tables that others refer to, or that others can be told from.
select exists (select from sark.accounts where org = %(org)s) or exists (select from sark.holds where org = %(org)s)
  or exists (select from sark.cost_tracking where org = %(org)s)
  or exists (select from sark.daily_costs where org = %(org)s);

-- name: try_lock
-- One process moves an org at a time; the lock lasts as long as the connection.
select pg_try_advisory_lock(hashtextextended('sark.org_moves/' || %(org)s, 0));

-- name: unlock
-- Let another one.
select pg_advisory_unlock(hashtextextended('sark.org_moves/' || %(org)s, 0));

-- name: kept_from
-- From when on charges are kept here, and whether there are older ones.
select s.charges_kept_from::text,
  exists (select from sark.cost_tracking t where t.time < %(than)s::timestamptz) from sark.storage s;

-- name: keep_from
-- There are no charges from before an instant.
update sark.storage set charges_kept_from = %(at)s::timestamptz where charges_kept_from < %(at)s::timestamptz;

-- name: later
-- The later one of two instants, as text.
select greatest(%(one)s::timestamptz, %(other)s::timestamptz)::text;

-- name: begin_out
-- Begin a move away from here. An org that came here by an earlier one may go on.
insert into sark.org_moves as m (org, move_id, direction, state, peer)
values (%(org)s, %(move_id)s, 'out', 'copying', %(peer)s)
on conflict (org) do update set move_id = excluded.move_id, direction = 'out', state = 'copying', peer = excluded.peer,
  progress = '{}', started_at = clock_timestamp(), closed_at = null, finished_at = null, dropped_at = null
where m.state = 'active';

-- name: begin_in
-- Begin a move to here. An org that was moved away and whose rows are gone may come back.
insert into sark.org_moves as m (org, move_id, direction, state, peer)
values (%(org)s, %(move_id)s, 'in', 'receiving', %(peer)s)
on conflict (org) do update set move_id = excluded.move_id, direction = 'in', state = 'receiving', peer = excluded.peer,
  progress = '{}', started_at = clock_timestamp(), closed_at = null, finished_at = null, dropped_at = null
where m.state = 'moved' and m.dropped_at is not null;

-- name: guard
-- Have a table refuse the orgs that may not be written here.
select sark.guard_org_table_v1(%(table)s);

-- name: own
-- What this transaction writes is the move's.
select set_config('sark.moving_org', %(org)s, true);

-- name: marks
-- Up to where charges are in the summaries, and from which transaction on a row counts as changed.
select m.xid, m.recorded_from::text, pg_snapshot_xmin(pg_current_snapshot())::text::bigint from sark.fold_mark m;

-- name: progress
-- Note how far a move to here has come.
update sark.org_moves set progress = progress || %(progress)s::jsonb where org = %(org)s and state = 'receiving';

-- name: days
-- The first and the last day, in UTC, an org has charges of.
select min(t.time at time zone 'UTC')::date, max(t.time at time zone 'UTC')::date from sark.cost_tracking t
where t.org = %(org)s and t.time >= %(kept_from)s::timestamptz;

-- name: next_holds
-- Where the next part of an org's holds ends, by request_id; null after the last.
select max(n.request_id collate "C") from (
  select h.request_id from sark.holds h
  where h.org = %(org)s and h.request_id > %(after)s collate "C" order by h.request_id limit %(rows_max)s
) n;

-- name: source
-- The query of the rows to copy.
select sark.move_source_v1(%(table)s, %(org)s, %(part)s::jsonb);

-- name: target
-- The statement that takes them.
select sark.move_target_v1(%(table)s, %(part)s::jsonb, %(into)s::text);

-- name: prepare_weeks
-- Partitions for the weeks to come in.
select sark.prepare_weeks_v1(%(from)s::date::timestamp at time zone 'UTC', %(to)s::date::timestamp at time zone 'UTC');

-- name: closing
-- The org is about to be closed here.
update sark.org_moves set state = 'closing' where org = %(org)s and state = 'copying';

-- name: close
-- The org is closed here.
select sark.close_org_v1(%(org)s);

-- name: snapshot
-- All that follows is read as of one instant.
set transaction isolation level repeatable read, read only;

-- name: stage_holds
-- Where holds wait to be merged.
create temporary table moved_holds (like sark.holds) on commit drop;

-- name: merge_holds
-- Merge them.
select sark.move_merge_holds_v1();

-- name: price_books
-- What charges were priced by.
select revision, price_list, overlay, registered_at from sark.price_books;

-- name: add_price_book
-- The same here.
insert into sark.price_books (revision, price_list, overlay, registered_at)
values (%(revision)s, %(price_list)s, %(overlay)s, %(registered_at)s) on conflict do nothing;

-- name: digest
-- How many rows of an org a table has, and what they say.
select rows, digest::text from sark.move_digest_v1(%(table)s, %(org)s, %(kept_from)s);

-- name: moved
-- The org is elsewhere, for good.
update sark.org_moves set state = 'moved', finished_at = clock_timestamp() where org = %(org)s and state = 'closed';

-- name: activate
-- The org is at home here.
update sark.org_moves set state = 'active', finished_at = clock_timestamp() where org = %(org)s and state = 'receiving';

-- name: record
-- Write an audit event.
select sark.audit_v1(%(event)s::jsonb);

-- name: reopen
-- Give a move up at its source.
select sark.reopen_org_v1(%(org)s);

-- name: forget
-- Give a move up at its destination.
delete from sark.org_moves where org = %(org)s and state = 'receiving';

-- name: drop_rows
-- Delete some rows of an org that is not at home here.
select sark.drop_org_rows_v1(%(org)s, %(table)s);

-- name: dropped
-- Nothing of the org is left here but this.
update sark.org_moves set dropped_at = clock_timestamp() where org = %(org)s and state = 'moved';
