-- Where these accounts stand at p_at, one row each in the given order: a look, nothing is locked or rolled.
--
-- A counter whose window is over reads as the window p_at lies in, with nothing spent or held in it; limits are as
-- raises make them at p_at.
create or replace function sark.windows_v1(p_org text[], p_account text[], p_at timestamptz) returns table (
  ordinal bigint, account text, enforcement text,
  day_limit bigint, day_spent bigint, day_held bigint, day_starts_at timestamptz, day_ends_at timestamptz,
  month_limit bigint, month_spent bigint, month_held bigint, month_starts_at timestamptz, month_ends_at timestamptz
) language sql stable as $$
  select
    k.ordinal, c.account, c.enforcement,
    c.day_limit + case when p_at < c.limits_until then c.day_extra
      else (sark.extras_v1(c.org, c.account, p_at)).day_extra end,
    case when p_at < c.day_ends_at then c.day_spent else 0 end,
    case when p_at < c.day_ends_at then c.day_held else 0 end,
    case when p_at < c.day_ends_at then c.day_starts_at
      else greatest(c.day_ends_at, (sark.window_v1(p_at, c.timezone, 'day')).starts_at) end,
    case when p_at < c.day_ends_at then c.day_ends_at else (sark.window_v1(p_at, c.timezone, 'day')).ends_at end,
    c.month_limit + case when p_at < c.limits_until then c.month_extra
      else (sark.extras_v1(c.org, c.account, p_at)).month_extra end,
    case when p_at < c.month_ends_at then c.month_spent else 0 end,
    case when p_at < c.month_ends_at then c.month_held else 0 end,
    case when p_at < c.month_ends_at then c.month_starts_at
      else greatest(c.month_ends_at, (sark.window_v1(p_at, c.timezone, 'month')).starts_at) end,
    case when p_at < c.month_ends_at then c.month_ends_at
      else (sark.window_v1(p_at, c.timezone, 'month')).ends_at end
  from unnest(p_org, p_account) with ordinality k(org, account, ordinal)
  join sark.counters c on c.org = k.org and c.account = k.account
$$;
