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
  -- The holds that are settled now, not before: where they stand in p_settlements, and what is said of them there.
  v_ordinals bigint[];
  v_orgs text[];
  v_requests text[];
  v_actual bigint[];
  v_usage jsonb[];
  v_tokens jsonb[];
  v_digests bytea[];
  v_revisions text[];
  v_estimated boolean[];
  -- What each of them had booked, at its expiry; how much more that is now; whether its amounts are set aside still,
  -- and the most of them; whether a quota counts any.
  v_booked bigint[];
  v_spent bigint[];
  v_held boolean[];
  v_most bigint[];
  v_metered boolean;
  -- The counters this moves, in the order of locks.
  k_orgs text[];
  k_accounts text[];
  k_freed bigint[];
  k_spent bigint[];
  k_earliest timestamptz[];
  v_answer json;
begin
  with locked as materialized (
    select s.*, h.path, h.amounts, h.booked, h.charged_at, h.meters, h.state = 'held' as held
    from (
      select * from rows from (jsonb_to_recordset(p_settlements) as (
        org text, request_id text, actual_nanousd bigint, usage jsonb, tokens jsonb, fingerprint text,
        price_revision text, estimated boolean
      )) with ordinality r(org, request_id, actual, usage, tokens, fingerprint, price_revision, estimated, ordinal)
      order by r.org collate "C", r.request_id collate "C"
    ) s
    cross join lateral (
      select * from sark.holds l where l.org = s.org and l.request_id = s.request_id for no key update
    ) h
    where h.state <> 'settled'
  )
  select e.*, c.*
  into v_ordinals, v_orgs, v_requests, v_actual, v_usage, v_tokens, v_digests, v_revisions, v_estimated, v_booked,
    v_spent, v_held, v_most, v_metered, k_orgs, k_accounts, k_freed, k_spent, k_earliest
  from (
    select array_agg(l.ordinal), array_agg(l.org), array_agg(l.request_id), array_agg(l.actual), array_agg(l.usage),
      array_agg(l.tokens), array_agg(decode(l.fingerprint, 'base64')), array_agg(l.price_revision),
      array_agg(l.estimated), array_agg(l.booked), array_agg(l.actual - l.booked), array_agg(l.held),
      array_agg((select max(a) from unnest(l.amounts) a)), bool_or(l.meters is not null)
    from locked l
  ) e
  cross join (
    select array_agg(s.org), array_agg(s.account), array_agg(s.freed), array_agg(s.spent), array_agg(s.earliest_at)
    from (
      select l.org, a.account, min(l.charged_at) as earliest_at,
        sum(case when l.held then a.amount else 0 end)::bigint as freed, sum(l.actual - l.booked)::bigint as spent
      from locked l cross join lateral unnest(l.path, l.amounts) a(account, amount)
      group by l.org, a.account
      order by l.org collate "C", a.account collate "C"
    ) s
  ) c;

  if v_orgs is not null then
    with zones as materialized (
      select c.org, c.timezone from (select distinct o.org from unnest(v_orgs) o(org)) o
      join sark.counters c on c.org = o.org and c.account = o.org
    ), settled as (
      update sark.holds h set
        state = 'settled', booked = g.actual, settlement_fingerprint = g.digest,
        price_revision = coalesce(g.revision, h.attribution ->> 'price_revision'), estimated = g.is_estimated,
        late = not g.held and not h.direct, hold_exceeded = g.actual > g.most and not h.direct,
        ended_at = coalesce(p_now, clock_timestamp())
      from unnest(v_ordinals, v_orgs, v_requests, v_actual, v_usage, v_tokens, v_digests, v_revisions, v_estimated,
        v_booked, v_held, v_most)
        g(ordinal, org, request_id, actual, usage, tokens, digest, revision, is_estimated, before, held, most)
      where h.org = g.org and h.request_id = g.request_id
      returning h.*, g.ordinal, g.usage, g.tokens, g.before, g.most
    ), booked as (
      insert into sark.cost_tracking (
        time, org, request_id, entry, kind, account, path, principal_id, resource_id, capability_id, provider, model,
        tokens, usage, estimated_nanousd, held_nanousd, actual_nanousd, price_revision, late, hold_exceeded, estimated,
        tags, budget_day
      )
      select
        g.charged_at, g.org, g.request_id, e.entry, e.kind, g.path[1], g.path, g.attribution ->> 'principal_id',
        g.attribution ->> 'resource_id', g.attribution ->> 'capability_id', g.attribution ->> 'provider',
        g.attribution ->> 'model', e.tokens, e.usage, g.expected, g.most, e.amount, e.revision, g.late,
        e.exceeds, e.estimated, coalesce(g.attribution -> 'tags', '{}'),
        -- All entries of a request lie on one day, also when the org's time zone was changed between them.
        coalesce(g.budget_day, (g.charged_at at time zone z.timezone)::date)
      from settled g
      join zones z on z.org = g.org
      cross join lateral (values
        (2, 'reversal', '{}'::jsonb, '{}'::jsonb, -g.before, g.attribution ->> 'price_revision', false, true),
        (case when g.expiry_booked then 3 else 1 end, 'charge', g.tokens, g.usage, g.booked, g.price_revision,
          g.hold_exceeded, g.estimated)
      ) e(entry, kind, tokens, usage, amount, revision, exceeds, estimated)
      where e.kind = 'charge' or g.expiry_booked
    )
    select json_build_object(
      'status', array_agg('settled'::text order by g.ordinal),
      'expiry_booked', array_agg(g.expiry_booked order by g.ordinal),
      'attribution', array_agg(g.attribution order by g.ordinal),
      'estimated_nanousd', array_agg(g.expected order by g.ordinal),
      'amounts', json_agg(g.amounts order by g.ordinal),
      'actual_nanousd', array_agg(g.booked order by g.ordinal),
      'charged_at', array_agg(g.charged_at order by g.ordinal),
      'price_revision', array_agg(g.price_revision order by g.ordinal),
      'late', array_agg(g.late order by g.ordinal),
      'hold_exceeded', array_agg(g.hold_exceeded order by g.ordinal),
      'estimated', array_agg(g.estimated order by g.ordinal)
    )
    into v_answer
    from settled g;

    -- Last, since everybody wants the org's counter, and waits for it until this is committed.
    if v_metered then
      perform sark.settle_meters_v1(p_settlements, v_orgs, v_requests, v_spent, v_held);
    elsif not sark.move_sums_v1(k_orgs, k_accounts, k_freed, k_spent, k_earliest) then
      perform sark.move_past_v2(v_orgs, v_requests, v_spent, v_held, null, null);
    end if;
    if cardinality(v_orgs) = jsonb_array_length(p_settlements) then
      return v_answer;
    end if;
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
