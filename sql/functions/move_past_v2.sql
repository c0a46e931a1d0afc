-- What move_v1 and move_v2 do in any window, be it over or not. They have locked the counters; without p_calls, those
-- of budgets only.
create or replace function sark.move_past_v2(
  p_org text[], p_request text[], p_spent bigint[], p_held boolean[], p_tokens bigint[], p_calls bigint[]
) returns void language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_bitmapscan = off set jit = off as $$
declare
  l_orgs text[];              -- one element for each level of each hold
  l_accounts text[];
  l_ats timestamptz[];
  l_freed bigint[];
  l_spent bigint[];
begin
  select array_agg(h.org), array_agg(l.account), array_agg(h.charged_at),
    array_agg(case when e.held then l.amount else 0 end), array_agg(case
      when l.level <= cardinality(h.path) then e.spent
      when split_part(l.account, E'\x1f', 2) = 'calls' then coalesce(e.calls, 0)
      else coalesce(e.tokens, 0)
    end)
  into l_orgs, l_accounts, l_ats, l_freed, l_spent
  from unnest(p_org, p_request, p_spent, p_held, p_tokens, p_calls) e(org, request_id, spent, held, tokens, calls)
  join sark.holds h on h.org = e.org and h.request_id = e.request_id
  cross join lateral unnest(
    h.path || case when p_calls is not null then h.meters end,
    h.amounts || case when p_calls is not null then h.meter_amounts end
  ) with ordinality l(account, amount, level);

  update sark.counters c set
    day_held = c.day_held - s.day_freed, day_spent = c.day_spent + s.day_spent,
    month_held = c.month_held - s.month_freed, month_spent = c.month_spent + s.month_spent
  from (
    select l.org, l.account,
      coalesce(sum(l.freed) filter (where l.at >= o.day_starts_at), 0)::bigint as day_freed,
      coalesce(sum(l.spent) filter (where l.at >= o.day_starts_at), 0)::bigint as day_spent,
      coalesce(sum(l.freed) filter (where l.at >= o.month_starts_at), 0)::bigint as month_freed,
      coalesce(sum(l.spent) filter (where l.at >= o.month_starts_at), 0)::bigint as month_spent
    from unnest(l_orgs, l_accounts, l_ats, l_freed, l_spent) l(org, account, at, freed, spent)
    join sark.counters o on o.org = l.org and o.account = l.account
    group by l.org, l.account
  ) s
  where c.org = s.org and c.account = s.account;

  update sark.period_history p set held = p.held - s.freed, spent = p.spent + s.spent
  from (
    select l.org, l.account, w.period, w.starts_at, sum(l.freed)::bigint as freed, sum(l.spent)::bigint as spent
    from unnest(l_orgs, l_accounts, l_ats, l_freed, l_spent) l(org, account, at, freed, spent)
    join sark.period_history w on w.org = l.org and w.account = l.account
      and w.starts_at <= l.at and l.at < w.ends_at
    group by l.org, l.account, w.period, w.starts_at
  ) s
  where p.org = s.org and p.account = s.account and p.period = s.period and p.starts_at = s.starts_at;
end $$;
