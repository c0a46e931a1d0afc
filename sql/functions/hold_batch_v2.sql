-- Hold money for many requests at once, each on its principal's account and every ancestor, or nowhere.
--
-- p_requests: an array of HoldRequest objects in order of arrival, each (org, request_id) at most once.
-- Near a limit they are served in that order. Answers, as of after the whole batch, where all were held now,
--   {"held": {"at": …, "paths": [path, …], "amounts": [[amount at each level, …], …]},
--    "counters": {"account": [account, …], "enforcement": […], "day_limit": […], …}}
-- with paths and amounts in the order of the requests, and counters by column, which is much less work for both sides;
-- else, in any order, and with the meters of quotas among the windows,
--   {"windows": [[account, enforcement, day_limit, day_spent, day_held, day_starts_at, day_ends_at, month …], …],
--    "answers": [[org, request_id, status, path, blocked_account, blocked_window, unknown, hold, meters], …]}
--
-- Locks, in this order: hold rows by (org, request_id); counters by (org, account), so the index has them in this order.
--
-- All new, all fitting and no quota is the common case: two statements. All else goes through hold_slowly_v2.
create or replace function sark.hold_batch_v2(
  p_requests jsonb, p_create_orgs boolean, p_now timestamptz default null
) returns json language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_bitmapscan = off set jit = off as $$
declare
  v_size constant integer := jsonb_array_length(p_requests);
  v_at timestamptz := coalesce(p_now, clock_timestamp());
  v_opened boolean := false;    -- whether missing accounts have been seen to
  v_entered text[];             -- org and request_id of the new holds
  v_met bigint;                 -- how many requests have a hold now, be it new or not
  v_held json;                  -- the answer to the new holds, as if all fitted; null where a quota counts any of them
  v_answer json;
  v_updated bigint;
  v_in_window boolean;
  v_fits boolean;
  v_orgs text[];                -- where all are new: their counters, in the order of locks, and what they need of each
  v_accounts text[];
  v_needs bigint[];
begin
  if v_size = 1 then
    v_answer := sark.hold_one_v1(p_requests, v_at, p_now);
    if v_answer is not null then
      return v_answer;
    end if;
  end if;
  loop
    with asked as materialized (
      select r.*, a.path, a.meters
      from rows from (jsonb_to_recordset(p_requests) as (
        org text, principal_id text, request_id text, fingerprint text, expected_nanousd bigint, upper_nanousd bigint,
        ttl_s integer, direct boolean, attribution jsonb
      )) with ordinality r(
        org, principal_id, request_id, fingerprint, expected, upper, ttl_s, direct, attribution, ordinal)
      join sark.accounts a on a.org = r.org and a.account = r.org || '/principal/' || r.principal_id
    ), met as materialized (
      select k.org, k.account, c.enforcement = 'hard' as is_hard,
        case when c.enforcement = 'hard' then k.upper else k.expected end as need
      from (
        select r.org, p.account, sum(case when r.direct then 0 else r.upper end)::bigint as upper,
          sum(case when r.direct then 0 else r.expected end)::bigint as expected
        from asked r cross join lateral unnest(r.path || r.meters) p(account)
        group by r.org, p.account
      ) k
      join sark.counters c on c.org = k.org and c.account = k.account
    ), lax as materialized (
      select array_agg(m.account) as accounts from met m where not m.is_hard
    ), placed as materialized (
      select r.*, case
        when r.direct then array_fill(0::bigint, array[cardinality(r.path)])
        when (select l.accounts is null from lax l) then array_fill(r.upper, array[cardinality(r.path)])
        else array(
          select case when p.account = any ((select l.accounts from lax l)::text[]) then r.expected else r.upper end
          from unnest(r.path) p(account)
        )
      end as amounts,
      case when r.meters is not null
        then sark.meter_amounts_v1(r.org, r.meters, p_requests -> (r.ordinal - 1)::integer)
      end as meter_amounts
      from asked r
    ), entered as (
      insert into sark.holds as h (
        org, request_id, path, amounts, expected, fingerprint, attribution, charged_at, expires_at, direct,
        meters, meter_amounts
      )
      select
        p.org, p.request_id, p.path, p.amounts, p.expected, decode(p.fingerprint, 'base64'), p.attribution, v_at,
        v_at + make_interval(secs => p.ttl_s), coalesce(p.direct, false), p.meters, p.meter_amounts
      from placed p
      where v_opened or (select count(*) from placed) = v_size
      order by p.org collate "C", p.request_id collate "C"
      on conflict (org, request_id) do update set asked = h.asked + 1
      returning h.org, h.request_id, h.asked
    ), needed as materialized (
      select array_agg(m.org order by m.org collate "C", m.account collate "C") as orgs,
        array_agg(m.account order by m.org collate "C", m.account collate "C") as accounts,
        array_agg(m.need order by m.org collate "C", m.account collate "C") as needs
      from met m
      where (select count(*) from entered e where e.asked = 1) = v_size
      having max(m.need) < 1::bigint << 60  -- more is not even tried, so that no sum overflows
    )
    select
      n.orgs, n.accounts, n.needs, (select count(*) from entered),
      (select array_agg(e.org || E'\n' || e.request_id) from entered e where e.asked = 1),
      (select case when count(p.meters) = 0 then json_build_object('at', v_at,
        'paths', json_agg(p.path order by p.ordinal), 'amounts', json_agg(p.amounts order by p.ordinal)) end
        from placed p)
    into v_orgs, v_accounts, v_needs, v_met, v_entered, v_held
    from (values (true)) one left join needed n on true;
    exit when v_opened or v_met > 0;
    perform sark.open_accounts_v1(p_requests, p_create_orgs, v_at);
    v_opened := true;
  end loop;

  if v_orgs is null or v_held is null then
    return sark.hold_slowly_v2(p_requests, v_entered, null, null, p_now);
  end if;

  -- All are updated, so all are locked, in their order; where one does not fit, it is undone before anybody has seen it.
  with updated as (
    update sark.counters c set day_held = c.day_held + k.need, month_held = c.month_held + k.need
    from unnest(v_orgs, v_accounts, v_needs) k(org, account, need)
    where c.org = k.org and c.account = k.account
    returning c.*, k.need
  )
  select count(*),
    bool_and(u.day_starts_at <= v_at and v_at < u.day_ends_at and u.month_starts_at <= v_at and v_at < u.month_ends_at
      and v_at < u.limits_until),
    bool_and(u.need = 0 or u.enforcement in ('warn', 'shadow') or (
      (u.day_limit is null or u.day_held <= u.day_limit + u.day_extra - u.day_spent)
      and (u.month_limit is null or u.month_held <= u.month_limit + u.month_extra - u.month_spent))),
    json_build_object('held', v_held, 'counters', json_build_object(
      'account', array_agg(u.account), 'enforcement', array_agg(u.enforcement),
      'day_limit', array_agg(u.day_limit + u.day_extra), 'day_spent', array_agg(u.day_spent),
      'day_held', array_agg(u.day_held),
      'day_starts_at', array_agg(u.day_starts_at), 'day_ends_at', array_agg(u.day_ends_at),
      'month_limit', array_agg(u.month_limit + u.month_extra), 'month_spent', array_agg(u.month_spent),
      'month_held', array_agg(u.month_held), 'month_starts_at', array_agg(u.month_starts_at),
      'month_ends_at', array_agg(u.month_ends_at)
    ))
  into v_updated, v_in_window, v_fits, v_answer from updated u;
  if v_updated <> cardinality(v_accounts) then  -- never, since none is deleted; but no hold may be one that counts nowhere
    raise exception 'a counter is missing' using errcode = 'serialization_failure';
  end if;
  if v_in_window and v_fits then
    return v_answer;
  end if;

  update sark.counters c set day_held = c.day_held - k.need, month_held = c.month_held - k.need
  from unnest(v_orgs, v_accounts, v_needs) k(org, account, need)
  where c.org = k.org and c.account = k.account;
  return sark.hold_slowly_v2(p_requests, v_entered, v_orgs, v_accounts, p_now);
end $$;
