-- What hold_batch_v1 leaves to do when not every request is new, in its window and fitting: roll windows, serve the
-- requests in order of arrival, answer the repeated and the unknown ones.
--
-- The new holds are entered, and the counters in p_orgs and p_accounts, which they need, are locked.
create or replace function sark.hold_slowly_v1(
  p_requests jsonb, p_orgs text[], p_accounts text[], p_now timestamptz
) returns json language plpgsql as $$
declare
  v_at constant timestamptz := coalesce(p_now, clock_timestamp());
  v_needs bigint[];                   -- of each counter
  v_blocked_keys text[] := '{}';      -- org and request_id of the holds that do not fit, and where they do not
  v_blocked_accounts text[] := '{}';
  v_blocked_windows text[] := '{}';
begin
  if p_orgs is not null then
    perform sark.enter_windows_v1(p_requests, p_orgs, p_accounts, v_at);
    select a.needs, a.keys, a.accounts, a.windows
    into v_needs, v_blocked_keys, v_blocked_accounts, v_blocked_windows
    from sark.admit_v1(p_requests, p_orgs, p_accounts) a;

    update sark.counters c set day_held = c.day_held + k.need, month_held = c.month_held + k.need
    from unnest(p_orgs, p_accounts, v_needs) k(org, account, need)
    where c.org = k.org and c.account = k.account and k.need > 0;
  end if;
  return sark.hold_answers_v1(p_requests, v_blocked_keys, v_blocked_accounts, v_blocked_windows, v_at);
end $$;
