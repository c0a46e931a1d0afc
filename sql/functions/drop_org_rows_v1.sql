-- Delete some of the rows of an org that was moved away, or whose move to here was given up: about p_rows_max of a table,
-- or the charges of one day. Answers how many; 0 when there are none left, null when the org is at home here.
create or replace function sark.drop_org_rows_v1(p_org text, p_table text, p_rows_max integer default 20000)
returns bigint language plpgsql as $$
declare
  v_from timestamptz;
  v_rows bigint;
begin
  if not exists (select from sark.org_moves where org = p_org and state in ('moved', 'receiving')) then
    return null;
  elsif not exists (select from sark.org_tables_v1() t where t.name = p_table) or p_table = 'org_moves' then
    raise exception 'sark.% holds nothing that could be dropped', p_table using errcode = 'invalid_parameter_value';
  end if;
  perform set_config('sark.dropping_org', p_org, true);
  if p_table = 'cost_tracking' then
    select min(t.time) into v_from from sark.cost_tracking t where t.org = p_org;
    delete from sark.cost_tracking t
    where t.org = p_org and t.time >= v_from and t.time < date_trunc('day', v_from, 'UTC') + interval '1 day';
  elsif p_table = 'accounts' then  -- whole, since they refer to each other
    delete from sark.accounts where org = p_org;
  else
    execute format('delete from sark.%1$I d where d.ctid = any (array(select t.ctid from sark.%1$I t where t.org = $1 limit $2))',
      p_table) using p_org, p_rows_max;
  end if;
  get diagnostics v_rows = row_count;
  return v_rows;
end $$;
