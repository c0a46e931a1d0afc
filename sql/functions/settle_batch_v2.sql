-- End many holds with what was billed. p_settlements: an array of Settlement objects, each (org, request_id) at most
-- once. Answers by column, in the same order,
--   {"status": [status, …], "attribution": [attribution, …], "amounts": [[amount at each level, …], …], …}
-- status is settled (now, or before with the same fingerprint), ended (settled before with another) or unknown; the
-- other columns are those of the charge, as sark.charge_json_v1 tells it, and say something only where it is settled.
--
-- What was billed is booked in full, above the hold too, and also when it comes late: after the hold was released,
-- or had expired. An amount that was booked at the expiry is taken back by a reversal entry, never edited.
--
-- Quotas count one call, and the tokens that were billed; where the settlement tells none, those that were held.
create or replace function sark.settle_batch_v2(p_settlements jsonb, p_now timestamptz default null) returns json
language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_bitmapscan = off set jit = off as $$
declare
  v_ordinals bigint[];        -- the holds that are settled now, not before: where they stand in p_settlements
  v_orgs text[];
  v_requests text[];
  v_spent bigint[];
  v_held boolean[];
  v_metered boolean;          -- a quota counts some of them
begin
  select array_agg(s.ordinal), array_agg(h.org), array_agg(h.request_id), array_agg(s.actual_nanousd - h.booked),
    array_agg(h.state = 'held'), bool_or(h.meters is not null)
  into v_ordinals, v_orgs, v_requests, v_spent, v_held, v_metered
  from (
    select * from rows from (jsonb_to_recordset(p_settlements) as (org text, request_id text, actual_nanousd bigint))
      with ordinality r(org, request_id, actual_nanousd, ordinal)
    order by r.org collate "C", r.request_id collate "C"
  ) s
  cross join lateral (
    select * from sark.holds l where l.org = s.org and l.request_id = s.request_id for no key update
  ) h
  where h.state <> 'settled';

  if v_orgs is not null then
    if v_metered then
      perform sark.settle_meters_v1(p_settlements, v_orgs, v_requests, v_spent, v_held);
    else
      perform sark.move_v1(v_orgs, v_requests, v_spent, v_held);
    end if;

    with given as materialized (
      select * from rows from (jsonb_to_recordset(p_settlements) as (
        org text, request_id text, actual_nanousd bigint, usage jsonb, tokens jsonb, fingerprint text,
        price_revision text, estimated boolean
      )) with ordinality s(org, request_id, actual, usage, tokens, fingerprint, price_revision, is_estimated, ordinal)
      where s.ordinal = any (v_ordinals)
    ), zones as materialized (
      select c.org, c.timezone from (select distinct s.org from given s) o
      join sark.counters c on c.org = o.org and c.account = o.org
    ), settling as materialized (
      select
        h.*, m.amount, s.actual, s.usage, s.tokens, s.is_estimated, decode(s.fingerprint, 'base64') as digest,
        coalesce(s.price_revision, h.attribution ->> 'price_revision') as revision,
        h.state <> 'held' and not h.direct as is_late, s.actual > m.amount and not h.direct as exceeds,
        -- All entries of a request lie on one day, also when the org's time zone was changed between them.
        coalesce(h.budget_day, (h.charged_at at time zone z.timezone)::date) as booked_on
      from given s
      join sark.holds h on h.org = s.org and h.request_id = s.request_id
      join zones z on z.org = s.org
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
        e.exceeds, e.estimated, coalesce(g.attribution -> 'tags', '{}'), g.booked_on
      from settling g
      cross join lateral (values
        (2, 'reversal', '{}'::jsonb, '{}'::jsonb, -g.booked, g.attribution ->> 'price_revision', false, true),
        (case when g.expiry_booked then 3 else 1 end, 'charge', g.tokens, g.usage, g.actual, g.revision, g.exceeds,
          g.is_estimated)
      ) e(entry, kind, tokens, usage, amount, revision, exceeds, estimated)
      where e.kind = 'charge' or g.expiry_booked
    )
    update sark.holds h set
      state = 'settled', booked = g.actual, settlement_fingerprint = g.digest, price_revision = g.revision,
      late = g.is_late, hold_exceeded = g.exceeds, estimated = g.is_estimated,
      ended_at = coalesce(p_now, clock_timestamp())
    from settling g
    where h.org = g.org and h.request_id = g.request_id;
  end if;

  return (
    select json_build_object(
      'status', array_agg(case
        when h.state is null or h.state <> 'settled' then 'unknown'  -- the latter: taken only just now, by another
        when h.settlement_fingerprint <> decode(s.fingerprint, 'base64') then 'ended'
        else 'settled'
      end order by s.ordinal),
      'expiry_booked', array_agg(h.expiry_booked order by s.ordinal),
      'attribution', array_agg(h.attribution order by s.ordinal),
      'estimated_nanousd', array_agg(h.expected order by s.ordinal),
      'amounts', json_agg(h.amounts order by s.ordinal),
      'actual_nanousd', array_agg(coalesce(h.settled_nanousd, h.booked) order by s.ordinal),
      'charged_at', array_agg(h.charged_at order by s.ordinal),
      'price_revision', array_agg(h.price_revision order by s.ordinal),
      'late', array_agg(h.late order by s.ordinal),
      'hold_exceeded', array_agg(h.hold_exceeded order by s.ordinal),
      'estimated', array_agg(h.estimated order by s.ordinal)
    )
    from rows from (jsonb_to_recordset(p_settlements) as (org text, request_id text, fingerprint text))
      with ordinality s(org, request_id, fingerprint, ordinal)
    left join sark.holds h on h.org = s.org and h.request_id = s.request_id
  );
end $$;
