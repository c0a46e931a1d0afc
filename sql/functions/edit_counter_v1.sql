-- Give a counter new limits, enforcement and time zone; the caller holds its row lock. See sark.put_account_v1.
create or replace function sark.edit_counter_v1(
  p_counter sark.counters, p_enforcement text, p_timezone text, p_day_limit bigint, p_month_limit bigint,
  p_at timestamptz
) returns void language plpgsql as $$
declare
  c sark.counters;
begin
  perform sark.roll_v1(array[p_counter.org], array[p_counter.account], array[p_at]);
  select * into c from sark.counters where org = p_counter.org and account = p_counter.account;

  -- An unused window begins anew: it is closed now, and the next one opens under the new zone and limits.
  update sark.counters k set
    enforcement = p_enforcement, timezone = p_timezone, day_limit = p_day_limit, month_limit = p_month_limit,
    day_limit_enforced = case
      when p_enforcement <> 'hard' or p_day_limit is null then null
      when c.day_spent = 0 and c.day_held = 0 then p_day_limit
      when c.day_limit_enforced is not null then greatest(p_day_limit, c.day_limit_enforced)
    end,
    month_limit_enforced = case
      when p_enforcement <> 'hard' or p_month_limit is null then null
      when c.month_spent = 0 and c.month_held = 0 then p_month_limit
      when c.month_limit_enforced is not null then greatest(p_month_limit, c.month_limit_enforced)
    end,
    day_ends_at = case when p_timezone <> c.timezone and c.day_spent = 0 and c.day_held = 0
      and p_at > c.day_starts_at then p_at else c.day_ends_at end,
    month_ends_at = case when p_timezone <> c.timezone and c.month_spent = 0 and c.month_held = 0
      and p_at > c.month_starts_at then p_at else c.month_ends_at end
  where k.org = c.org and k.account = c.account;
  perform sark.roll_v1(array[c.org], array[c.account], array[p_at]);
end $$;
