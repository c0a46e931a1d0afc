-- What settled transfers of the days from p_from to before p_to cost by our own ledger, by peer, day, direction and
-- alias. p_peer null: with every peer. Reversals count negative.
--
-- The span of time in which the charges lie is looked up first and is a constant of the statement that reads them, so
-- that only its partitions are read; the planner then knows how much lies in it.
create or replace function sark.federation_figures_v1(p_org text, p_peer text, p_from date, p_to date)
returns table (
  peer text, period date, direction text, alias text, principal_id text, charges bigint, amount_nanousd bigint,
  input_tokens bigint, output_tokens bigint, cache_read_tokens bigint, cache_write_tokens bigint
) language plpgsql stable
set plan_cache_mode = force_custom_plan set jit = off as $$
#variable_conflict use_column
declare
  v_first timestamptz;
  v_last timestamptz;
begin
  select min(t.charged_at), max(t.charged_at) into v_first, v_last
  from sark.federation_transfers t
  where t.org = p_org and t.period >= p_from and t.period < p_to and t.state = 'settled'
    and (p_peer is null or t.peer = p_peer);

  return query
  select t.peer, t.period, t.direction, t.alias, min(t.principal_id),
    sum(c.sign)::bigint,
    sum(c.actual_nanousd)::bigint,
    coalesce(sum(c.sign * (c.tokens ->> 'input_tokens')::bigint), 0)::bigint,
    coalesce(sum(c.sign * (c.tokens ->> 'output_tokens')::bigint), 0)::bigint,
    coalesce(sum(c.sign * (c.tokens ->> 'cache_read_tokens')::bigint), 0)::bigint,
    coalesce(sum(c.sign * (c.tokens ->> 'cache_write_tokens')::bigint), 0)::bigint
  from sark.federation_transfers t
  join (
    select k.request_id, k.time, k.actual_nanousd, k.tokens, case k.kind when 'reversal' then -1 else 1 end as sign
    from sark.cost_tracking k
    where k.org = p_org and k.time >= v_first and k.time <= v_last
  ) c on c.request_id = t.booked_request_id and c.time = t.charged_at
  where t.org = p_org and t.period >= p_from and t.period < p_to and t.state = 'settled'
    and (p_peer is null or t.peer = p_peer)
  group by t.peer, t.period, t.direction, t.alias;
end $$;
