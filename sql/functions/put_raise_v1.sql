-- Raise an account's limits for a while. p_raise: {id, account, day_extra_nanousd, month_extra_nanousd, starts_at,
-- expires_at, author, reason}; starts_at null: now. The same id again with the same figures is the same raise.
--
-- Answers [status, raise]; status is created, duplicate, or why not: unknown_account, conflict (the id belongs to a
-- raise that says something else), past (it would be over already), no_limit_day, no_limit_month (nothing to raise),
-- too_large. The counter's row lock is held, so whoever holds money next sees the raise or does not.
create or replace function sark.put_raise_v1(
  p_org text, p_raise jsonb, p_event jsonb, p_now timestamptz default null
) returns json language plpgsql as $$
declare
  s record;
  v_raise sark.limit_raises;
  v_account json;
  v_at timestamptz;
begin
  select * into s from jsonb_to_record(p_raise) r(
    id text, account text, day_extra_nanousd bigint, month_extra_nanousd bigint, starts_at timestamptz,
    expires_at timestamptz, author text, reason text);
  perform from sark.counters where org = p_org and account = s.account for no key update;
  if not found then
    return json_build_array('unknown_account', null);
  end if;
  v_at := coalesce(p_now, clock_timestamp());

  select * into v_raise from sark.limit_raises r
  where r.org = p_org and r.account = s.account and r.raise_id = s.id;
  if found then
    return json_build_array(
      case when (v_raise.day_extra_nanousd, v_raise.month_extra_nanousd, v_raise.expires_at, v_raise.reason)
          = (s.day_extra_nanousd, s.month_extra_nanousd, s.expires_at, s.reason)
        and v_raise.starts_at = coalesce(s.starts_at, v_raise.starts_at) then 'duplicate' else 'conflict' end,
      sark.raise_json_v1(v_raise));
  end if;
  if s.expires_at <= greatest(v_at, s.starts_at) then
    return json_build_array('past', null);
  end if;
  v_account := sark.account_json_v1(p_org, s.account);
  if s.day_extra_nanousd > 0 and v_account ->> 'daily_limit_nanousd' is null then
    return json_build_array('no_limit_day', null);
  elsif s.month_extra_nanousd > 0 and v_account ->> 'monthly_limit_nanousd' is null then
    return json_build_array('no_limit_month', null);
  elsif exists (  -- all at once would still be a sum that a bigint holds
    select from sark.limit_raises r
    where r.org = p_org and r.account = s.account and r.cancelled_at is null and r.expires_at > v_at
    having coalesce(sum(r.day_extra_nanousd), 0) + s.day_extra_nanousd
        + coalesce((v_account ->> 'daily_limit_nanousd')::bigint, 0) > 4611686018427387904
      or coalesce(sum(r.month_extra_nanousd), 0) + s.month_extra_nanousd
        + coalesce((v_account ->> 'monthly_limit_nanousd')::bigint, 0) > 4611686018427387904
  ) then
    return json_build_array('too_large', null);
  end if;

  insert into sark.limit_raises (
    org, account, raise_id, day_extra_nanousd, month_extra_nanousd, starts_at, expires_at, author, reason, created_at
  ) values (
    p_org, s.account, s.id, s.day_extra_nanousd, s.month_extra_nanousd, coalesce(s.starts_at, v_at), s.expires_at,
    s.author, s.reason, v_at
  ) returning * into v_raise;
  perform sark.refresh_limits_v1(array[p_org], array[s.account], array[v_at]);
  perform sark.audit_v1(p_event);
  return json_build_array('created', sark.raise_json_v1(v_raise));
end $$;
