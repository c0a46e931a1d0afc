-- End up to p_rows_max holds that are past their time; how many were ended.
--
-- The request may have run. The leaf-most account of the path with an on_expiry of its own says what happens; without
-- one, the hold is charged if any account of the path is hard, else released. A charge books the hold's largest
-- amount at every level, as an estimate that a late settlement takes back; quotas count one call and the tokens held.
-- Rows locked by others are left for later.
create or replace function sark.expire_v1(p_rows_max integer, p_now timestamptz default null) returns integer
language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_bitmapscan = off set jit = off as $$
declare
  v_at constant timestamptz := coalesce(p_now, clock_timestamp());
  v_orgs text[];
  v_requests text[];
  v_spent bigint[];           -- null: released
  v_tokens bigint[];          -- null: no quota counts them
  v_booked bigint[];          -- v_spent, with 0 for what is released
  v_metered boolean;          -- a quota counts some of the holds
begin
  select array_agg(d.org), array_agg(d.request_id), array_agg(case when o.on_expiry = 'charge' then (
    select max(a) from unnest(d.amounts) a
  ) end), array_agg(case when o.on_expiry = 'charge' and d.meters is not null
    then sark.held_tokens_v1(d.meters, d.meter_amounts)
  end), bool_or(d.meters is not null)
  into v_orgs, v_requests, v_spent, v_tokens, v_metered
  from (
    select h.org, h.request_id, h.path, h.amounts, h.meters, h.meter_amounts from sark.holds h
    where h.state = 'held' and h.expires_at <= v_at
    order by h.expires_at limit p_rows_max for no key update skip locked
  ) d
  cross join lateral (select sark.on_expiry_v1(d.org, d.path) as on_expiry) o;

  if v_orgs is null then
    return 0;
  end if;

  v_booked := array(select coalesce(s, 0) from unnest(v_spent) with ordinality u(s, o) order by o);
  if v_metered then
    perform sark.move_v2(v_orgs, v_requests, v_booked, array_fill(true, array[cardinality(v_orgs)]), v_tokens,
      array(select (s is not null)::integer::bigint from unnest(v_spent) with ordinality u(s, o) order by o));
  else
    perform sark.move_v1(v_orgs, v_requests, v_booked, array_fill(true, array[cardinality(v_orgs)]));
  end if;

  with expiring as materialized (
    select h.*, k.spent, k.tokens, (h.charged_at at time zone c.timezone)::date as booked_on
    from unnest(v_orgs, v_requests, v_spent, v_tokens) k(org, request_id, spent, tokens)
    join sark.holds h on h.org = k.org and h.request_id = k.request_id
    join sark.counters c on c.org = h.org and c.account = h.org
  ), booked as (
    insert into sark.cost_tracking (
      time, org, request_id, entry, kind, account, path, principal_id, resource_id, capability_id, provider, model,
      estimated_nanousd, held_nanousd, actual_nanousd, price_revision, late, hold_exceeded, estimated, tags, budget_day
    )
    select
      e.charged_at, e.org, e.request_id, 1, 'expiry', e.path[1], e.path, e.attribution ->> 'principal_id',
      e.attribution ->> 'resource_id', e.attribution ->> 'capability_id', e.attribution ->> 'provider',
      e.attribution ->> 'model', e.expected, e.spent, e.spent, e.attribution ->> 'price_revision', false, false, true,
      coalesce(e.attribution -> 'tags', '{}'), e.booked_on
    from expiring e where e.spent is not null
  )
  update sark.holds h set
    state = 'expired', booked = coalesce(e.spent, 0), expiry_booked = e.spent is not null, booked_tokens = e.tokens,
    budget_day = case when e.spent is not null then e.booked_on end, ended_at = v_at
  from expiring e
  where h.org = e.org and h.request_id = e.request_id;
  return cardinality(v_orgs);
end $$;
