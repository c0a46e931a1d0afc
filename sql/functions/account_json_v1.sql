-- An account's settings under the names of the Account record, or null: a look.
create or replace function sark.account_json_v1(p_org text, p_account text) returns json language sql stable as $$
  select json_build_object(
    'name', a.account, 'parent', a.parent, 'daily_limit_nanousd', c.day_limit, 'monthly_limit_nanousd', c.month_limit,
    'timezone', c.timezone, 'enforcement', c.enforcement, 'on_expiry', a.on_expiry,
    'unknown_principals', a.unknown_principals, 'default_daily_limit_nanousd', a.default_daily_limit_nanousd,
    'default_monthly_limit_nanousd', a.default_monthly_limit_nanousd, 'default_enforcement', a.default_enforcement,
    'tokens_daily_limit', t.day_limit, 'tokens_monthly_limit', t.month_limit,
    'calls_daily_limit', l.day_limit, 'calls_monthly_limit', l.month_limit
  )
  from sark.accounts a join sark.counters c on c.org = a.org and c.account = a.account
  left join sark.counters t on t.org = a.org and t.account = a.account || E'\x1ftokens'
  left join sark.counters l on l.org = a.org and l.account = a.account || E'\x1fcalls'
  where a.org = p_org and a.account = p_account
$$;
