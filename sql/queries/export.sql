-- Exports of charges. An export reads day by day, each in a statement of its own, and yet sees one snapshot: charges
-- are append-only and carry the transaction that booked them, so what a snapshot saw can be told later.

-- name: prepare
-- A day's charges are put in order; most days fit into this much memory.
set work_mem = '64MB';

-- name: snapshot
-- What is committed now, in a form that later statements can go by; null in place of an infinite time.
select
  pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint,
  array(select x::text::bigint from pg_snapshot_xip(s) x), m.recorded_from::text,
  to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), m.server,
  m.server = c.system_identifier::text
from pg_current_snapshot() s cross join sark.fold_mark m cross join pg_control_system() c;

-- name: orgs
-- Every org that is at home here with its time zone, or the one asked for.
select a.org, c.timezone
from sark.accounts a join sark.counters c on c.org = a.org and c.account = a.account
where a.parent is null and (%(org)s::text is null or a.org = %(org)s)
  and not exists (select from sark.org_moves m where m.org = a.org and m.state not in ('copying', 'active'))
order by a.org;

-- name: span
-- The instants a period means in a time zone: by default from the start of its last month, and until now.
select s.starts_at, s.ends_at, nullif(k.charges_kept_from, '-infinity'), s.starts_at < k.charges_kept_from
from sark.storage k
cross join lateral (
  select coalesce(%(to_at)s::timestamptz, %(to_day)s::date::timestamp at time zone %(timezone)s, %(now)s::timestamptz)
    as ends_at
) e
cross join lateral (
  select e.ends_at, coalesce(
    %(from_at)s::timestamptz, %(from_day)s::date::timestamp at time zone %(timezone)s,
    date_trunc('month', (e.ends_at - interval '1 microsecond') at time zone %(timezone)s) at time zone %(timezone)s
  ) as starts_at
) s;

-- name: days
-- The days of a span of time on which something was charged: what lies on them, and the month they are in.
with counted as (
  select
    -- A day begins at its first midnight that counts: see the windows of the ledger.
    l.day - (t.time < l.day::timestamp at time zone %(timezone)s)::integer as day,
    count(*) as charges, sum(t.actual_nanousd)::bigint as nanousd
  from sark.cost_tracking t
  cross join lateral (select (t.time at time zone %(timezone)s)::date as day) l
  where t.org = %(org)s and t.time >= %(starts_at)s and t.time < %(ends_at)s and t.path @> %(within)s::text[]
    and (t.xid < %(xmin)s or (t.xid < %(xmax)s and t.xid <> all (%(open)s::bigint[]))
      or t.recorded_at < %(recorded_from)s::timestamptz)
  group by 1
)
select
  day, charges, nanousd,
  greatest(day::timestamp at time zone %(timezone)s, %(starts_at)s),
  least((day + 1)::timestamp at time zone %(timezone)s, %(ends_at)s),
  date_trunc('month', day::timestamp) at time zone %(timezone)s,
  (date_trunc('month', day::timestamp) + interval '1 month') at time zone %(timezone)s
from counted order by day;

-- name: changed_days
-- The days of an org on which something was charged, before an instant, that an earlier snapshot did not see.
select distinct l.day - (t.time < l.day::timestamp at time zone %(timezone)s)::integer
from sark.cost_tracking t
cross join lateral (select (t.time at time zone %(timezone)s)::date as day) l
where t.org = %(org)s and t.time < %(ends_at)s
  and t.xid >= %(seen_xmin)s and (t.xid >= %(seen_xmax)s or t.xid = any (%(seen_open)s::bigint[]))
  and t.recorded_at >= %(seen_recorded_from)s::timestamptz
  and (t.xid < %(xmin)s or (t.xid < %(xmax)s and t.xid <> all (%(open)s::bigint[]))
    or t.recorded_at < %(recorded_from)s::timestamptz)
order by 1;

-- name: first_day
-- The first day of an org on which something was charged and is kept.
select min(l.day - (t.time < l.day::timestamp at time zone %(timezone)s)::integer)
from sark.cost_tracking t
cross join lateral (select (t.time at time zone %(timezone)s)::date as day) l
where t.org = %(org)s;

-- name: day_of
-- The day an instant lies on.
select l.day - (%(at)s::timestamptz < l.day::timestamp at time zone %(timezone)s)::integer
from (select (%(at)s::timestamptz at time zone %(timezone)s)::date as day) l;

-- name: day_starts
-- The instant a day begins in a time zone.
select %(day)s::date::timestamp at time zone %(timezone)s;

-- name: try_lock
-- One process publishes at a time. The lock is the connection's, so it ends with it.
select pg_try_advisory_lock(7308895158395168116);

-- name: unlock
-- Let another process publish.
select pg_advisory_unlock(7308895158395168116);

-- name: charges_focus_1_2
-- A day's charges as CSV in the columns of FOCUS 1.2.
copy (
  select
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency",
    "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription",
    "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit",
    "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "InvoiceId", "InvoiceIssuerName", "ListCost",
    "ListUnitPrice", "PricingCategory", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName",
    "RegionId", "RegionName", "ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName",
    "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId", "SubAccountId",
    "SubAccountName", "SubAccountType", "Tags", "x_Account", "x_AccountPath", "x_BudgetDay",
    "x_CacheReadTokens", "x_CacheWriteTokens", "x_CapabilityId", "x_ChargedAt", "x_Entry", "x_EntryKind",
    "x_Estimated", "x_EstimatedCost", "x_HeldCost", "x_HoldExceeded", "x_InputTokens", "x_Late", "x_Model",
    "x_OutputTokens", "x_PriceRevision", "x_PrincipalId", "x_Provider", "x_RecordedAt", "x_RequestId",
    "x_ReratingId", "x_Tokens"
  from sark.focus_charges_v1(
    %(org)s, %(starts_at)s::timestamptz, %(ends_at)s::timestamptz, %(month_starts_at)s::timestamptz,
    %(month_ends_at)s::timestamptz, %(within)s::text[], %(xmin)s, %(xmax)s, %(open)s::bigint[],
    %(recorded_from)s::timestamptz, %(guarded)s
  )
  order by "x_ChargedAt" collate "C", "x_RequestId" collate "C", "x_Entry"
) to stdout (format csv, header);

-- name: charges_focus_1_4
-- A day's charges as CSV in the columns of FOCUS 1.4.
copy (
  select
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency",
    "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription",
    "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit",
    "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "HostProviderName", "InvoiceId", "InvoiceIssuerName",
    "ListCost", "ListUnitPrice", "PricingCategory", "PricingQuantity", "PricingUnit", "RegionId", "RegionName",
    "ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName", "ServiceProviderName",
    "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId", "SubAccountId",
    "SubAccountName", "SubAccountType", "Tags", "x_Account", "x_AccountPath", "x_BudgetDay",
    "x_CacheReadTokens", "x_CacheWriteTokens", "x_CapabilityId", "x_ChargedAt", "x_Entry", "x_EntryKind",
    "x_Estimated", "x_EstimatedCost", "x_HeldCost", "x_HoldExceeded", "x_InputTokens", "x_Late", "x_Model",
    "x_OutputTokens", "x_PriceRevision", "x_PrincipalId", "x_Provider", "x_RecordedAt", "x_RequestId",
    "x_ReratingId", "x_Tokens"
  from sark.focus_charges_v1(
    %(org)s, %(starts_at)s::timestamptz, %(ends_at)s::timestamptz, %(month_starts_at)s::timestamptz,
    %(month_ends_at)s::timestamptz, %(within)s::text[], %(xmin)s, %(xmax)s, %(open)s::bigint[],
    %(recorded_from)s::timestamptz, %(guarded)s
  )
  order by "x_ChargedAt" collate "C", "x_RequestId" collate "C", "x_Entry"
) to stdout (format csv, header);
