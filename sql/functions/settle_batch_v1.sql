-- End many holds with what was billed. p_settlements: an array of Settlement objects, each (org, request_id) at most
-- once. Answers [[status, charge], …] in the same order; status is settled (now, or before with the same
-- fingerprint), ended (settled before with another) or unknown; charge as sark.charge_json_v1 gives it.
--
-- What was billed is booked in full, above the hold too, and also when it comes late: after the hold was released,
-- or had expired. An amount that was booked at the expiry is taken back by a reversal entry, never edited.
create or replace function sark.settle_batch_v1(p_settlements jsonb, p_now timestamptz default null) returns json
language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off as $$
declare
  v_orgs text[];              -- the holds that are settled now, not before
  v_requests text[];
  v_spent bigint[];
  v_held boolean[];
begin
  select array_agg(h.org), array_agg(h.request_id), array_agg(s.actual_nanousd - h.booked),
    array_agg(h.state = 'held')
  into v_orgs, v_requests, v_spent, v_held
  from (
    select * from jsonb_to_recordset(p_settlements) r(org text, request_id text, actual_nanousd bigint)
    order by r.org collate "C", r.request_id collate "C"
  ) s
  cross join lateral (
    select * from sark.holds l where l.org = s.org and l.request_id = s.request_id for no key update
  ) h
  where h.state <> 'settled';

  if v_orgs is not null then
    perform sark.move_v1(v_orgs, v_requests, v_spent, v_held);

    with settling as materialized (
      select
        h.*, m.amount, s.actual_nanousd, s.usage, s.tokens, s.estimated as is_estimated,
        decode(s.fingerprint, 'base64') as digest, coalesce(s.price_revision, h.attribution ->> 'price_revision') as revision,
        h.state <> 'held' and not h.direct as is_late, s.actual_nanousd > m.amount and not h.direct as exceeds,
        coalesce((  -- all entries of a request lie on one day, also when the org's time zone was changed between them
          select t.budget_day from sark.cost_tracking t
          where h.expiry_booked and t.org = h.org and t.request_id = h.request_id and t.entry = 1 and t.time = h.charged_at
        ), (h.charged_at at time zone c.timezone)::date) as budget_day
      from unnest(v_orgs, v_requests) k(org, request_id)
      join sark.holds h on h.org = k.org and h.request_id = k.request_id
      join sark.counters c on c.org = h.org and c.account = h.org
      join jsonb_to_recordset(p_settlements) s(
        org text, request_id text, actual_nanousd bigint, usage jsonb, tokens jsonb, fingerprint text,
        price_revision text, estimated boolean
      ) on s.org = h.org and s.request_id = h.request_id
      cross join lateral (select max(a) as amount from unnest(h.amounts) a) m
    ), booked as (
      insert into sark.cost_tracking (
        time, org, request_id, entry, kind, account, path, principal_id, resource_id, capability_id, provider, model,
        tokens, usage, estimated_nanousd, held_nanousd, actual_nanousd, price_revision, late, hold_exceeded, estimated,
        tags, budget_day
      )
      select
        g.charged_at, g.org, g.request_id, e.entry, e.kind, g.path[1], g.path, g.attribution ->> 'principal_id',
        g.attribution ->> 'resource_id', g.attribution ->> 'capability_id', g.attribution ->> 'provider',
        g.attribution ->> 'model', e.tokens, e.usage, g.expected, g.amount, e.amount, e.revision, g.is_late,
        e.exceeds, e.estimated, coalesce(g.attribution -> 'tags', '{}'), g.budget_day
      from settling g
      cross join lateral (values
        (2, 'reversal', '{}'::jsonb, '{}'::jsonb, -g.booked, g.attribution ->> 'price_revision', false, true),
        (case when g.expiry_booked then 3 else 1 end, 'charge', g.tokens, g.usage, g.actual_nanousd, g.revision,
          g.exceeds, g.is_estimated)
      ) e(entry, kind, tokens, usage, amount, revision, exceeds, estimated)
      where e.kind = 'charge' or g.expiry_booked
    )
    update sark.holds h set
      state = 'settled', booked = g.actual_nanousd, settlement_fingerprint = g.digest, price_revision = g.revision,
      late = g.is_late, hold_exceeded = g.exceeds, estimated = g.is_estimated,
      ended_at = coalesce(p_now, clock_timestamp())
    from settling g
    where h.org = g.org and h.request_id = g.request_id;
  end if;

  return (
    select json_agg(json_build_array(
      case
        when h.state is null or h.state <> 'settled' then 'unknown'  -- the latter: taken only just now, by another
        when h.settlement_fingerprint <> decode(s.fingerprint, 'base64') then 'ended'
        else 'settled'
      end,
      case when h.state = 'settled' then sark.charge_json_v1(h) end
    ) order by s.ordinal)
    from rows from (jsonb_to_recordset(p_settlements) as (org text, request_id text, fingerprint text))
      with ordinality s(org, request_id, fingerprint, ordinal)
    left join sark.holds h on h.org = s.org and h.request_id = s.request_id
  );
end $$;
