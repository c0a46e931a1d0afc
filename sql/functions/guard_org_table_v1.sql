-- Have a table refuse the orgs that are not to be written here now, as sark.org_moves has them, and no others. The check
-- is the condition of a trigger, so a row of another org costs one comparison; without such orgs there is no trigger.
--
-- Making a trigger waits for the writers of the table and lets nobody else write meanwhile; so it is done a table at a
-- time, each in a transaction of its own, since writers take tables in different orders.
create or replace function sark.guard_org_table_v1(p_table text) returns void language plpgsql set lock_timeout = '2s' as $$
declare
  v_orgs text[];
  v_exists boolean;
begin
  lock table sark.org_moves in share row exclusive mode;  -- so that of two moves none undoes the other's guard
  if not exists (select from sark.org_tables_v1() t where t.name = p_table and t.guarded) then
    raise exception 'sark.% is no table that is guarded', p_table using errcode = 'invalid_parameter_value';
  end if;
  v_orgs := array(select m.org from sark.org_moves m where m.state not in ('copying', 'active') order by m.org);
  v_exists := exists (
    select from pg_trigger where tgrelid = format('sark.%I', p_table)::regclass and tgname = 'org_moved'
  );
  if v_exists and (v_orgs = '{}' or current_setting('server_version_num')::integer < 140000) then
    execute format('drop trigger org_moved on sark.%I', p_table);
  end if;
  if v_orgs <> '{}' then
    execute format(
      'create %s trigger org_moved before insert or update on sark.%I for each row when (new.org = any (%L::text[])) '
      'execute function sark.refuse_moved_org()',
      case when current_setting('server_version_num')::integer >= 140000 then 'or replace' end, p_table, v_orgs);
  end if;
end $$;
