-- Charges by time, so that old ones can be compressed and dropped, and summaries of them that outlive them.
--
-- What differs between servers stands in the files of this number with a tier in their name: plain PostgreSQL, a
-- TimescaleDB under its Apache licence, and one under its community licence (tsl).

-- One row: how this database keeps charges.
create table sark.storage (
  singleton boolean not null default true,
  tier text not null,
  keep_charges_days integer,                     -- null: for ever. Charges and ended holds older than that are dropped
  charges_kept_from timestamptz not null default '-infinity',  -- what was charged earlier is in summaries alone
  constraint storage_pkey primary key (singleton),
  constraint storage_one_row check (singleton),
  constraint storage_tier_known check (tier in ('plain', 'apache', 'tsl')),
  -- Two whole months, since the running windows and the last ones are still booked into.
  constraint storage_keeps_two_months check (keep_charges_days >= 62)
);

-- A bigint instead of xid8, which has no BRIN index: rows arrive in its order, so a few pages tell where the new ones
-- are. It lets the summaries pick up what was committed since the last time.
alter table sark.cost_tracking
  alter column xid drop default,
  alter column xid type bigint using xid::text::bigint,
  alter column xid set default pg_current_xact_id()::text::bigint;
create index cost_tracking_xid on sark.cost_tracking using brin (xid) with (pages_per_range = 32, autosummarize = on);

-- Set when a hold is charged at its expiry: all entries of a request lie on one day, also when the org's time zone is
-- changed between them, and nobody has to look for the first one.
alter table sark.holds add column budget_day date;
update sark.holds h set budget_day = t.budget_day
from sark.cost_tracking t
where h.expiry_booked and t.org = h.org and t.request_id = h.request_id and t.entry = 1 and t.time = h.charged_at;

create index holds_charged_at on sark.holds using brin (charged_at) with (pages_per_range = 32, autosummarize = on);

-- What was charged, by one dimension at a time and by the day in the org's time zone: sums that stay small however
-- many charges there are. The same on every server. Reversals count negative, in every column.
create table sark.daily_costs (
  org text collate "C" not null,
  dimension text collate "C" not null,
  key text collate "C" not null,                 -- '' for org, `provider/model` for model, `name=value` for tag
  day date not null,
  charges bigint not null,
  actual_nanousd bigint not null,
  estimated_nanousd bigint not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  cache_read_tokens bigint not null,
  cache_write_tokens bigint not null,
  constraint daily_costs_pkey primary key (org, dimension, day, key),
  constraint daily_costs_dimension_known
    check (dimension in ('org', 'account', 'principal', 'resource', 'capability', 'model', 'tag'))
) with (fillfactor = 70);

create index daily_costs_key on sark.daily_costs (org, dimension, key, day);

-- How far estimates were off, in steps of 5 %: bucket 0 is up to 5 % above the estimate, -1 up to 5 % below it.
create table sark.daily_estimate_errors (
  org text collate "C" not null,
  key text collate "C" not null,                 -- provider/model
  day date not null,
  bucket smallint not null,                      -- -20: nothing was charged; 40: three times the estimate, or more
  charges bigint not null,
  constraint daily_estimate_errors_pkey primary key (org, day, key, bucket)
) with (fillfactor = 70);

-- The values each tag has in the summaries, and how many; a tag with too many is not told apart any further.
create table sark.tags (
  org text collate "C" not null,
  tag text collate "C" not null,
  values_seen integer not null,
  constraint tags_pkey primary key (org, tag)
);
create table sark.tag_values (
  org text collate "C" not null,
  key text collate "C" not null,                 -- name=value
  constraint tag_values_pkey primary key (org, key)
);

-- One row: up to where charges are in the summaries. Rows of transactions from `xid` on are not, nor are those of
-- transactions that were open then. xids begin anew when a database is restored elsewhere: what was recorded before
-- recorded_from is in the summaries whatever its xid is.
create table sark.fold_mark (
  singleton boolean not null default true,
  xid bigint not null,
  recorded_from timestamptz not null default '-infinity',
  server text not null,                          -- whose xids these are
  folded_at timestamptz not null default clock_timestamp(),
  constraint fold_mark_pkey primary key (singleton),
  constraint fold_mark_one_row check (singleton)
);
insert into sark.fold_mark (xid, server)
select 0, coalesce(system_identifier::text, '') from pg_control_system();

-- Summaries by day under the name they had in SARK v2.0, there a materialised view; here it is always as of now but
-- for what the last seconds charged.
create view sark.mv_daily_cost_summary as
select
  day as date,
  org,
  key as principal_id,
  charges as invocation_count,
  actual_nanousd / 1e9::numeric as total_cost,
  case when charges > 0 then actual_nanousd / 1e9::numeric / charges end as avg_cost
from sark.daily_costs
where dimension = 'principal';
