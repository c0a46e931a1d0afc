-- What hold_batch_v2 leaves to do when not every request is new, in its window, fitting and without quotas: roll
-- windows, serve the requests in order of arrival, answer the repeated and the unknown ones.
--
-- p_entered are the org and request_id of the new holds, null for none. The counters they need are locked and given in
-- p_orgs and p_accounts; or p_orgs is null, and they are locked here.
create or replace function sark.hold_slowly_v2(
  p_requests jsonb, p_entered text[], p_orgs text[], p_accounts text[], p_now timestamptz
) returns json language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_bitmapscan = off set jit = off as $$
declare
  v_at constant timestamptz := coalesce(p_now, clock_timestamp());
  v_new jsonb;                        -- the requests of the new holds, in order of arrival
  v_needs bigint[];                   -- of each counter
  v_blocked_keys text[] := '{}';      -- org and request_id of the holds that do not fit, and where they do not
  v_blocked_accounts text[] := '{}';
  v_blocked_windows text[] := '{}';
begin
  if p_entered is not null then
    select jsonb_agg(r.request order by r.ordinal) into v_new
    from jsonb_array_elements(p_requests) with ordinality r(request, ordinal)
    where r.request ->> 'org' || E'\n' || (r.request ->> 'request_id') = any (p_entered);

    if p_orgs is null then
      select array_agg(k.org), array_agg(k.account) into p_orgs, p_accounts
      from (
        select h.org, p.account
        from unnest(p_entered) e(key)
        join sark.holds h on h.org = split_part(e.key, E'\n', 1) and h.request_id = split_part(e.key, E'\n', 2)
        cross join lateral unnest(h.path || h.meters) p(account)
        group by h.org, p.account
        order by h.org collate "C", p.account collate "C"
      ) k
      cross join lateral (
        select from sark.counters s where s.org = k.org and s.account = k.account for no key update
      ) c;
    end if;
    perform sark.enter_windows_v1(v_new, p_orgs, p_accounts, v_at);
    select a.needs, a.keys, a.accounts, a.windows
    into v_needs, v_blocked_keys, v_blocked_accounts, v_blocked_windows
    from sark.admit_v1(v_new, p_orgs, p_accounts) a;

    update sark.counters c set day_held = c.day_held + k.need, month_held = c.month_held + k.need
    from unnest(p_orgs, p_accounts, v_needs) k(org, account, need)
    where c.org = k.org and c.account = k.account and k.need > 0;
  end if;
  return sark.hold_answers_v1(p_requests, v_blocked_keys, v_blocked_accounts, v_blocked_windows, v_at);
end $$;
