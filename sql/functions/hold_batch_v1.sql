-- Hold money for many requests at once, each on its principal's account and every ancestor, or nowhere.
--
-- p_requests: an array of HoldRequest objects in order of arrival, each (org, request_id) at most once.
-- Near a limit they are served in that order. Answers, as of after the whole batch and in any order,
--   {"windows": [[account, enforcement, day_limit, day_spent, day_held, day_starts_at, day_ends_at, month …], …],
--    "answers": [[org, request_id, status, path, blocked_account, blocked_window, unknown, hold], …]}
--
-- Locks, in this order: hold rows by (org, request_id); counters by (org, account descending). The second is leaf
-- before org, and unlike depth it is an order that moving an account does not change.
--
-- All new and all fitting is the common case: two statements. Whatever else there is goes through hold_slowly_v1.
create or replace function sark.hold_batch_v1(
  p_requests jsonb, p_create_orgs boolean, p_now timestamptz default null
) returns json language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off as $$
declare
  v_size constant integer := jsonb_array_length(p_requests);
  v_at timestamptz := coalesce(p_now, clock_timestamp());
  v_opened boolean := false;    -- whether missing accounts have been seen to
  v_entered json;               -- the answers to the new holds, as if all fitted
  v_new bigint;
  v_in_window boolean;
  v_fits boolean;
  v_orgs text[];                -- the counters of all new holds, in lock order, and what the holds need of each
  v_accounts text[];
  v_needs bigint[];
  v_windows json;
begin
  if v_size = 1 then
    v_entered := sark.hold_one_v1(p_requests, v_at, p_now);
    if v_entered is not null then
      return v_entered;
    end if;
  end if;
  loop
    with placed as materialized (
      select r.*, l.path, array(
        select case
          when r.direct then 0
          when (select c.enforcement from sark.counters c where c.org = r.org and c.account = p.account) = 'hard'
            then r.upper_nanousd
          else r.expected_nanousd
        end
        from unnest(l.path) p(account)
      ) as amounts
      from jsonb_to_recordset(p_requests) r(
        org text, principal_id text, request_id text, fingerprint text, expected_nanousd bigint, upper_nanousd bigint,
        ttl_s integer, direct boolean, attribution jsonb)
      cross join lateral (
        select a.path from sark.accounts a where a.org = r.org and a.account = r.org || '/principal/' || r.principal_id
      ) l
    ), entered as (
      insert into sark.holds as h (
        org, request_id, path, amounts, expected, fingerprint, attribution, charged_at, expires_at, direct
      )
      select
        org, request_id, path, amounts, expected_nanousd, decode(fingerprint, 'base64'), attribution, v_at,
        v_at + make_interval(secs => ttl_s), coalesce(direct, false)
      from placed
      where v_opened or (select count(*) from placed) = v_size
      order by org collate "C", request_id collate "C"
      on conflict (org, request_id) do update set asked = h.asked + 1
      returning h.org, h.request_id, h.path, h.amounts, h.expires_at, h.asked
    ), needed as materialized (
      select e.org, l.account, sum(l.amount)::bigint as need
      from entered e cross join lateral unnest(e.path, e.amounts) l(account, amount)
      where e.asked = 1
      group by e.org, l.account
      order by e.org collate "C", l.account collate "C" desc
    )
    select
      array_agg(k.org), array_agg(k.account), array_agg(k.need),
      bool_and(c.day_starts_at <= v_at and v_at < c.day_ends_at and c.month_starts_at <= v_at
        and v_at < c.month_ends_at),
      bool_and(k.need = 0 or c.enforcement in ('warn', 'shadow') or (
        (c.day_limit is null or k.need <= c.day_limit - c.day_spent - c.day_held)
        and (c.month_limit is null or k.need <= c.month_limit - c.month_spent - c.month_held))),
      (select count(*) filter (where e.asked = 1) from entered e),
      (select json_agg(json_build_array(
        e.org, e.request_id, 'held', e.path, null, null, null,
        json_build_array(e.path, 'held', e.amounts, 0, v_at, e.expires_at, null)
      )) from entered e)
    into v_orgs, v_accounts, v_needs, v_in_window, v_fits, v_new, v_entered
    from needed k
    cross join lateral (
      select * from sark.counters s where s.org = k.org and s.account = k.account for no key update
    ) c;
    exit when v_opened or v_entered is not null;
    perform sark.open_accounts_v1(p_requests, p_create_orgs, v_at);
    v_opened := true;
  end loop;

  if v_new < v_size or not v_in_window or not v_fits then
    return sark.hold_slowly_v1(p_requests, v_orgs, v_accounts, p_now);
  end if;

  with updated as (
    update sark.counters c set
      day_held = c.day_held + k.need, month_held = c.month_held + k.need
    from unnest(v_orgs, v_accounts, v_needs) k(org, account, need)
    where c.org = k.org and c.account = k.account
    returning c.*
  )
  select json_agg(json_build_array(
    u.account, u.enforcement, u.day_limit, u.day_spent, u.day_held, u.day_starts_at, u.day_ends_at,
    u.month_limit, u.month_spent, u.month_held, u.month_starts_at, u.month_ends_at
  )) into v_windows from updated u;
  return json_build_object('answers', v_entered, 'windows', v_windows);
end $$;
