-- How an account's budget is split among those directly below it: {account: {day, month}} in nanousd, null for none.
create or replace function sark.split_v1(p_account text) returns jsonb language sql stable as $$
  select coalesce(jsonb_object_agg(a.account, jsonb_build_object('day', c.day_limit, 'month', c.month_limit)), '{}')
  from sark.accounts a join sark.counters c on c.org = a.org and c.account = a.account
  where a.org = split_part(p_account, '/', 1) and a.parent = p_account
$$;
