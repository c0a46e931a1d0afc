-- Limits for a while, and tokens that may split a budget.

-- What is added to an account's limits from starts_at on until expires_at, or until cancelled_at if that comes first.
-- An account without a limit stays without one. Nothing but cancelled_at and cancelled_by is ever changed in a row.
create table sark.limit_raises (
  org text collate "C" not null,
  account text collate "C" not null,
  raise_id text collate "C" not null,
  day_extra_nanousd sark.amount not null,        -- 0: the limit of this window stays as it is
  month_extra_nanousd sark.amount not null,
  starts_at timestamptz not null,
  expires_at timestamptz not null,
  author text not null,                          -- name of the token, or who ran the command
  reason text not null,
  created_at timestamptz not null default clock_timestamp(),
  cancelled_at timestamptz,
  cancelled_by text,
  constraint limit_raises_pkey primary key (org, account, raise_id),
  constraint limit_raises_account_fkey foreign key (org, account) references sark.accounts (org, account),
  constraint limit_raises_in_order check (starts_at < expires_at),
  constraint limit_raises_raise_something check (day_extra_nanousd > 0 or month_extra_nanousd > 0),
  constraint limit_raises_cancelled_by_iff_cancelled check ((cancelled_at is null) = (cancelled_by is null))
);

create index limit_raises_running on sark.limit_raises (org, account, expires_at) where cancelled_at is null;

-- A token may be for one org, or for one account and all below it. Null: for every org.
alter table sark.access_tokens
  add column account text collate "C",
  drop constraint access_tokens_role_known,
  add constraint access_tokens_role_known check (role in ('facts', 'settle', 'report', 'budget', 'admin')),
  -- Whoever splits a budget splits one; whoever administers does so everywhere; calls are known by their org.
  add constraint access_tokens_account_fits_role check (
    case role
      when 'budget' then account is not null
      when 'admin' then account is null
      when 'report' then true
      else account is null or position('/' in account) = 0
    end
  );
