-- Which of a batch's new holds fit, served in order of arrival; the others are removed again.
--
-- The caller holds the locks of the counters, given in p_orgs and p_accounts. Answers what the admitted holds need
-- of each, and for each hold that does not fit its key and the first window it does not fit into: leaf first, day
-- before month; then the meters of its quotas, in the same order. A hold of nothing always fits.
create or replace function sark.admit_v1(
  p_requests jsonb, p_orgs text[], p_accounts text[],
  out needs bigint[], out keys text[], out accounts text[], out windows text[]
) language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_bitmapscan = off set jit = off as $$
declare
  v_rooms_day bigint[];       -- what is left in each counter; null: nothing is refused there
  v_rooms_month bigint[];
  v_hold record;
  v_slot integer;
  v_level integer;
begin
  needs := array_fill(0::bigint, array[cardinality(p_accounts)]);
  keys := '{}';
  accounts := '{}';
  windows := '{}';

  select
    array_agg(case when c.enforcement in ('hard', 'soft') then c.day_limit + c.day_extra - c.day_spent - c.day_held end
      order by k.slot),
    array_agg(case when c.enforcement in ('hard', 'soft') then c.month_limit + c.month_extra - c.month_spent - c.month_held end
      order by k.slot)
  into v_rooms_day, v_rooms_month
  from unnest(p_orgs, p_accounts) with ordinality k(org, account, slot)
  join sark.counters c on c.org = k.org and c.account = k.account;

  <<each_hold>>
  for v_hold in
    select h.org, h.request_id, h.path || h.meters as path, h.amounts || h.meter_amounts as amounts, s.slots
    from rows from (jsonb_to_recordset(p_requests) as (org text, request_id text))
      with ordinality r(org, request_id, ordinal)
    join sark.holds h on h.org = r.org and h.request_id = r.request_id and h.asked = 1
    cross join lateral (
      select array_agg(array_position(p_accounts, p.account) order by p.level) as slots
      from unnest(h.path || h.meters) with ordinality p(account, level)
    ) s
    order by r.ordinal
  loop
    for v_level in 1..cardinality(v_hold.path) loop
      v_slot := v_hold.slots[v_level];
      if v_hold.amounts[v_level] > 0 and (
        v_hold.amounts[v_level] > v_rooms_day[v_slot] or v_hold.amounts[v_level] > v_rooms_month[v_slot]
      ) then
        keys := keys || (v_hold.org || E'\n' || v_hold.request_id);
        accounts := accounts || v_hold.path[v_level];
        windows := windows
          || case when v_hold.amounts[v_level] > v_rooms_day[v_slot] then 'day'::text else 'month' end;
        continue each_hold;
      end if;
    end loop;
    for v_level in 1..cardinality(v_hold.path) loop
      v_slot := v_hold.slots[v_level];
      needs[v_slot] := needs[v_slot] + v_hold.amounts[v_level];
      v_rooms_day[v_slot] := v_rooms_day[v_slot] - v_hold.amounts[v_level];
      v_rooms_month[v_slot] := v_rooms_month[v_slot] - v_hold.amounts[v_level];
    end loop;
  end loop;

  delete from sark.holds h
  using unnest(keys) k(key)
  where h.org = split_part(k.key, E'\n', 1) and h.request_id = split_part(k.key, E'\n', 2);
end $$;
