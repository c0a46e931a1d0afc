-- The ledger: accounts form trees, counters say where each account stands, holds set money aside,
-- cost_tracking records what was charged and is never edited.
--
-- Every key starts with the org. Amounts are bigint of 10^-9 USD (nanousd). Names compare by byte
-- (collate "C"), so that every server sorts, and therefore locks, rows in the same order.

-- Domains, since a check of theirs is made only where a value is assigned, while a table's checks are read and made
-- again by every statement on the table: measured, a tenth of the time of a hold.
create domain sark.amount as bigint constraint amount_not_negative check (value >= 0);
create domain sark.enforcement as text
  constraint enforcement_known check (value in ('hard', 'soft', 'warn', 'shadow'));
create domain sark.on_expiry as text constraint on_expiry_known check (value in ('charge', 'release'));
create domain sark.on_unknown as text constraint on_unknown_known check (value in ('create', 'deny'));
create domain sark.period as text constraint period_known check (value in ('day', 'month'));
create domain sark.hold_state as text
  constraint hold_state_known check (value in ('held', 'settled', 'released', 'expired'));

create table sark.accounts (
  org text collate "C" not null,
  account text collate "C" not null,             -- `{org}` or `{org}/{kind}/{id}`
  parent text collate "C",                       -- null for the org itself
  path text[] not null,                          -- this account, its parent, … the org
  on_expiry sark.on_expiry,                      -- null: as the enforcement on the path says
  unknown_principals sark.on_unknown not null default 'deny',
  default_daily_limit_nanousd sark.amount,
  default_monthly_limit_nanousd sark.amount,
  default_enforcement sark.enforcement not null default 'hard',
  created_at timestamptz not null default clock_timestamp(),
  constraint accounts_pkey primary key (org, account),
  constraint accounts_parent_fkey foreign key (org, parent) references sark.accounts (org, account),
  constraint accounts_parent_of_all_but_org check ((parent is null) = (account = org)),
  constraint accounts_path_leaf_to_org check (path[1] = account and path[cardinality(path)] = org),
  constraint accounts_depth_max check (cardinality(path) <= 16)
);

-- One row an account, touched by every hold: day and month side by side, so that three levels are three updates.
-- Windows roll lazily, inside whatever statement comes first after their end.
create table sark.counters (
  org text collate "C" not null,
  account text collate "C" not null,
  enforcement sark.enforcement not null default 'hard',
  timezone text not null default 'UTC',
  day_limit sark.amount,                         -- null: no limit
  month_limit sark.amount,
  day_starts_at timestamptz not null,
  day_ends_at timestamptz not null,
  month_starts_at timestamptz not null,
  month_ends_at timestamptz not null,
  day_spent sark.amount not null default 0,
  day_held sark.amount not null default 0,
  month_spent sark.amount not null default 0,
  month_held sark.amount not null default 0,
  -- The highest limit that was enforced through the whole of the window, null if at any time none was:
  -- what sark-opa verify can hold the admissions of this window against.
  day_limit_enforced sark.amount,
  month_limit_enforced sark.amount,
  constraint counters_pkey primary key (org, account),
  constraint counters_account_fkey foreign key (org, account) references sark.accounts (org, account)
) with (
  fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_cost_delay = 0
);

-- Windows that are over. Holds taken in them may still end, and book here.
create table sark.period_history (
  org text collate "C" not null,
  account text collate "C" not null,
  period sark.period not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  spent sark.amount not null,
  held sark.amount not null,
  constraint period_history_pkey primary key (org, account, period, starts_at),
  constraint period_history_in_order check (starts_at < ends_at)
);

-- Money set aside for one request. The path and the amounts are frozen: moving an account changes no hold.
create table sark.holds (
  org text collate "C" not null,
  request_id text collate "C" not null,
  path text[] not null,                          -- leaf to org
  amounts sark.amount[] not null,                -- set aside at each level of the path
  expected sark.amount not null,                 -- expected cost when the hold was taken
  fingerprint bytea not null,                    -- digest of the request
  attribution jsonb not null,
  state sark.hold_state not null default 'held',
  charged_at timestamptz not null,               -- inside the windows it counts in, at every level
  expires_at timestamptz not null,
  ended_at timestamptz,
  asked integer not null default 1,              -- how often this request_id asked for money
  direct boolean not null default false,         -- a charge that never had a hold
  booked sark.amount not null default 0,         -- what its charges sum up to
  expiry_booked boolean not null default false,  -- its amount was charged when it expired
  settlement_fingerprint bytea,
  price_revision text,
  late boolean not null default false,
  hold_exceeded boolean not null default false,
  estimated boolean not null default false,
  constraint holds_pkey primary key (org, request_id),
  constraint holds_ended_at_iff_ended check ((state = 'held') = (ended_at is null)),
  constraint holds_settlement_iff_settled check ((state = 'settled') = (settlement_fingerprint is not null)),
  constraint holds_booked_only_after_end check (booked = 0 or state in ('settled', 'expired')),
  constraint holds_amount_each_level check (cardinality(path) = cardinality(amounts))
) with (fillfactor = 80);

create index holds_overdue on sark.holds (expires_at) where state = 'held';

-- Charges, append-only. `time` is the hold's charged_at, a function of the request, so a repeated insert collides;
-- it is part of the unique index because a partitioned table needs that.
create table sark.cost_tracking (
  time timestamptz not null,
  org text collate "C" not null,
  request_id text collate "C" not null,
  entry smallint not null,                       -- 1, 2, 3 … within the request
  kind text not null,                            -- charge · expiry: the hold, when it expired · reversal of that
  account text collate "C" not null,
  path text[] not null,
  principal_id text collate "C" not null,
  resource_id text collate "C" not null,
  capability_id text collate "C" not null,
  provider text collate "C",
  model text collate "C",
  tokens jsonb not null default '{}',
  usage jsonb not null default '{}',             -- as the provider sent it
  estimated_nanousd sark.amount not null,
  held_nanousd sark.amount not null,
  actual_nanousd bigint not null,                -- negative in a reversal
  currency text not null default 'USD',
  price_revision text,
  late boolean not null,
  hold_exceeded boolean not null,
  estimated boolean not null,
  tags jsonb not null default '{}',
  metadata jsonb not null default '{}',
  budget_day date not null,                      -- calendar day of `time` in the org's time zone
  recorded_at timestamptz not null default clock_timestamp(),
  xid xid8 not null default pg_current_xact_id(),  -- lets a rollup pick up what was committed since the last one
  constraint cost_tracking_kind_known check (kind in ('charge', 'expiry', 'reversal')),
  constraint cost_tracking_only_reversals_negative
    check (case kind when 'reversal' then actual_nanousd <= 0 else actual_nanousd >= 0 end),
  constraint cost_tracking_currency_known check (currency = 'USD')
);

create unique index cost_tracking_once on sark.cost_tracking (org, request_id, entry, time);
create index cost_tracking_principal on sark.cost_tracking (org, principal_id, time desc);

create function sark.refuse_edit() returns trigger language plpgsql as $$
begin
  raise exception 'sark.% is append-only: % is refused', tg_table_name, tg_op using errcode = 'restrict_violation';
end $$;

-- Row triggers do not see TRUNCATE, so there are two.
create trigger cost_tracking_append_only before update or delete on sark.cost_tracking
  for each row execute function sark.refuse_edit();
create trigger cost_tracking_no_truncate before truncate on sark.cost_tracking
  for each statement execute function sark.refuse_edit();
