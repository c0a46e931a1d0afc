-- Charges to be imported lie in temporary tables of the connection until they are booked: an import that breaks off leaves
-- nothing behind but what it has booked.

-- name: settings
-- Sorting the rows takes room.
select set_config('work_mem', '64MB', false), set_config('jit', 'off', false);

-- name: about
-- The database's clock, and from when on charges are kept.
select clock_timestamp(), (select nullif(charges_kept_from, '-infinity') from sark.storage);

-- name: stage_subjects
-- Who was charged, and what for: of many charges the same.
create temporary table sark_import_subject (
  subject integer not null,
  org text collate "C" not null,
  principal_id text collate "C" not null,
  team text collate "C",
  resource_id text collate "C" not null,
  capability_id text collate "C" not null,
  provider text collate "C",
  model text collate "C",
  account text collate "C" not null,
  attribution jsonb not null
);

-- name: stage_rows
-- The charges as they were read.
create temporary table sark_import_read (
  file_number integer not null,
  line bigint not null,
  subject integer not null,
  request_id text collate "C" not null,
  entry smallint not null,
  entry_kind text not null,
  charged_at timestamptz not null,
  tokens jsonb not null,
  usage jsonb not null,
  estimated_nanousd bigint not null,
  actual_nanousd bigint not null,
  price_revision text,
  estimated boolean not null,
  tags jsonb not null,
  digest bytea not null
);

-- name: copy_subjects
-- Fill it.
copy pg_temp.sark_import_subject from stdin;

-- name: copy_rows
-- Fill it.
copy pg_temp.sark_import_read from stdin;

-- name: index_subjects
-- What rows name them by.
create unique index on pg_temp.sark_import_subject (subject);

-- name: analyze_subjects
-- So that the checks are planned for what there is.
analyze pg_temp.sark_import_subject;

-- name: analyze_read
-- The same.
analyze pg_temp.sark_import_read;

-- name: past_entries
-- Of a request with several entries, as expiries and re-ratings leave, the present one is kept. How many others there were.
with others as (
  delete from pg_temp.sark_import_read r using (
    select e.ctid as id, rank() over (partition by s.org, e.request_id order by e.entry desc) as place
    from pg_temp.sark_import_read e join pg_temp.sark_import_subject s on s.subject = e.subject
  ) p
  where r.ctid = p.id and p.place > 1
  returning 1
)
select count(*) from others;

-- name: problems
-- Rows that cannot be booked, whatever is in them by themselves: file, line, column and why.
with rows as not materialized (
  select r.*, s.org, s.principal_id, s.account
  from pg_temp.sark_import_read r join pg_temp.sark_import_subject s on s.subject = r.subject
)
select d.file_number, d.line, 'request_id', 'is on another row too'
from (
  select file_number, line, row_number() over (partition by org, request_id order by file_number, line) as place from rows
) d
where d.place > 1
union all
select r.file_number, r.line, 'entry_kind', 'is a reversal, and the entry that takes the place of what it takes back is missing'
from rows r where r.entry_kind = 'reversal'
union all
select r.file_number, r.line, 'request_id', 'was charged with other figures, or is held, by another request'
from rows r join sark.holds h on h.org = r.org and h.request_id = r.request_id
where h.settlement_fingerprint is distinct from r.digest
union all
select r.file_number, r.line, 'time', 'is older than the charges that are kept (sark-opa database retain)'
from rows r where r.charged_at < (select charges_kept_from from sark.storage)
union all
select r.file_number, r.line, 'org', case when m.org is null
  then r.org || ' is not registered; register it, or give --create-accounts'
  else r.org || ' is being moved to another database, or was' end
from rows r
left join sark.accounts o on o.org = r.org and o.account = r.org
left join sark.org_moves m on m.org = r.org and m.state <> 'active'
where m.org is not null or o.org is null and not %(create_orgs)s
union all
select r.file_number, r.line, 'principal_id',
  r.principal_id || ' is not registered, and ' || r.org || ' creates none (unknown_principals)'
from rows r
join sark.accounts o on o.org = r.org and o.account = r.org and o.unknown_principals = 'deny'
where not exists (select from sark.accounts a where a.org = r.org and a.account = r.account)
order by 1, 2, 3
limit %(limit)s;

-- name: remove
-- Leave rows out, by file and line.
delete from pg_temp.sark_import_read r
using unnest(%(files)s::integer[], %(lines)s::bigint[]) b(file_number, line)
where r.file_number = b.file_number and r.line = b.line;

-- name: drop_known
-- What was booked before is done; how many that were.
with known as (
  delete from pg_temp.sark_import_read r using pg_temp.sark_import_subject s, sark.holds h
  where s.subject = r.subject and h.org = s.org and h.request_id = r.request_id and h.settlement_fingerprint = r.digest
  returning 1
)
select count(*) from known;

-- name: order_rows
-- In order of time, so that a batch counts in few windows, and a week's charges lie together.
create temporary table sark_import as
select row_number() over (order by r.charged_at, r.file_number, r.line) as row_number, r.*
from pg_temp.sark_import_read r;

-- name: index_rows
-- Batches are ranges of rows.
create unique index on pg_temp.sark_import (row_number);

-- name: analyze_rows
-- So that the batches are planned for what there is.
analyze pg_temp.sark_import;

-- name: orgs
-- What there is of each org.
select s.org, count(*), sum(r.actual_nanousd)::bigint, min(r.charged_at), max(r.charged_at)
from pg_temp.sark_import r
join pg_temp.sark_import_subject s on s.subject = r.subject
group by s.org order by s.org;

-- name: missing_accounts
-- Principals that have no account.
select distinct on (s.org, s.principal_id) s.org, s.principal_id, s.team
from pg_temp.sark_import_subject s
where exists (select from pg_temp.sark_import r where r.subject = s.subject)
  and not exists (select from sark.accounts a where a.org = s.org and a.account = s.account)
order by s.org, s.principal_id, s.subject;

-- name: open_accounts
-- Create accounts, as a hold with `team` would.
select sark.open_accounts_v1(%(requests)s::jsonb, %(create_orgs)s, clock_timestamp());

-- name: weeks
-- The weeks in which charges lie.
select distinct date_trunc('week', r.charged_at, 'UTC') as week from pg_temp.sark_import r order by week;

-- name: prepare_week
-- Have a place for the charges of a week.
select sark.import_week_v1(%(week)s);

-- name: record
-- Write down that an import of an org begins.
select sark.audit_v1(%(event)s::jsonb);

-- name: book
-- Book a range of rows.
select sark.import_batch_v1(%(first)s, %(last)s, %(import_id)s);

-- name: places
-- Where rows stand in their files.
select r.file_number, r.line from pg_temp.sark_import r where r.row_number = any (%(rows)s) order by 1, 2;

-- name: analyze_ledger
-- So that what reads the ledger next is planned for what it has grown to; nobody else would for some minutes.
analyze sark.holds (org, request_id, charged_at, state), sark.cost_tracking (org, request_id, time, xid, principal_id),
  sark.period_history;

-- name: drop
-- Room for others.
drop table if exists pg_temp.sark_import_read, pg_temp.sark_import, pg_temp.sark_import_subject;
