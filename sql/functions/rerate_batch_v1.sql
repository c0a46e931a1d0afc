-- Book the new prices of charges of one org: for each a reversal of its present entry, with its tokens, and a new
-- charge, both in the window and on the day of the old one. p_lines: an array of {request_id, time, entry,
-- actual_nanousd}, each request at most once, entry the one that was priced anew; p_revision: the prices.
-- Answers [[request_id, status], …]: booked, or changed, when the request has another entry by now; null when the
-- re-rating is unknown or finished.
--
-- No limit refuses: the money is spent. holds.settled_nanousd keeps what its settlement was answered, so that the same
-- settlement again gets the same answer; holds.booked_least is the least it was ever booked at, which is what
-- admissions can be held against. Counters, which everybody wants, are locked last.
create or replace function sark.rerate_batch_v1(p_org text, p_rerating text, p_revision text, p_lines jsonb)
returns json language plpgsql
set plan_cache_mode = force_custom_plan set enable_seqscan = off set jit = off as $$
declare
  v_requests text[];
  v_first timestamptz;
  v_last timestamptz;
  v_booked text[];            -- the requests that are booked now
  v_differences bigint[];
begin
  perform from sark.reratings
  where org = p_org and rerating_id = p_rerating and finished_at is null for no key update;
  if not found then
    return null;
  end if;

  select array_agg(h.request_id), min(h.charged_at), max(h.charged_at) into v_requests, v_first, v_last
  from (
    select request_id from jsonb_to_recordset(p_lines) r(request_id text) order by request_id collate "C"
  ) l
  cross join lateral (
    select * from sark.holds s where s.org = p_org and s.request_id = l.request_id for no key update
  ) h
  where h.state = 'settled';

  with lines as materialized (
    select * from jsonb_to_recordset(p_lines) l(request_id text, "time" timestamptz, entry smallint, actual_nanousd bigint)
  ), entries as materialized (
    -- With bounds on the time, so that no other partition is looked at.
    select t.* from sark.cost_tracking t
    where t.org = p_org and t.time between v_first and v_last and t.request_id = any (v_requests)
  ), present as materialized (
    select distinct on (e.request_id) e.* from entries e order by e.request_id, e.entry desc
  ), changing as materialized (
    select p.*, l.actual_nanousd as new_nanousd
    from present p
    join lines l on l.request_id = p.request_id and l.time = p.time and l.entry = p.entry
    where p.kind = 'charge' and p.actual_nanousd <> l.actual_nanousd
  ), pairs as (
    insert into sark.cost_tracking (
      time, org, request_id, entry, kind, account, path, principal_id, resource_id, capability_id, provider, model,
      tokens, usage, estimated_nanousd, held_nanousd, actual_nanousd, price_revision, late, hold_exceeded, estimated,
      tags, metadata, budget_day, rerating_id
    )
    select
      c.time, c.org, c.request_id, c.entry + n.step, n.kind, c.account, c.path, c.principal_id, c.resource_id,
      c.capability_id, c.provider, c.model, c.tokens, c.usage, c.estimated_nanousd, c.held_nanousd, n.amount,
      n.revision, c.late, c.hold_exceeded, c.estimated, c.tags, c.metadata, c.budget_day, p_rerating
    from changing c
    cross join lateral (values
      (1, 'reversal', -c.actual_nanousd, c.price_revision), (2, 'charge', c.new_nanousd, p_revision)
    ) n(step, kind, amount, revision)
  ), rebooked as (
    update sark.holds h set
      booked = c.new_nanousd, settled_nanousd = coalesce(h.settled_nanousd, h.booked),
      booked_least = least(h.booked_least, h.booked, c.new_nanousd)
    from changing c
    where h.org = p_org and h.request_id = c.request_id
  )
  select array_agg(request_id), array_agg(new_nanousd - actual_nanousd) into v_booked, v_differences from changing;

  if v_booked is not null then
    perform sark.move_v1(array_fill(p_org, array[cardinality(v_booked)]), v_booked, v_differences,
      array_fill(false, array[cardinality(v_booked)]));
    update sark.reratings set
      charges = charges + cardinality(v_booked),
      difference_nanousd = difference_nanousd + (select sum(d) from unnest(v_differences) d)
    where org = p_org and rerating_id = p_rerating;
  end if;

  return (
    select json_agg(json_build_array(l.request_id,
      case when l.request_id = any (v_booked) then 'booked' else 'changed' end))
    from jsonb_to_recordset(p_lines) l(request_id text)
  );
end $$;
