-- Drop whole weeks of charges that are older than what is kept (sark.storage.keep_charges_days), and move the mark from
-- which on there are charges. Answers that mark; null when somebody else is at it, or charges are not in the
-- summaries yet. Summaries stay; holds of that time go by sark.drop_holds_v1.
--
-- It runs with its owner's rights, as the service's role may delete no charge. So nobody may say that it is later than it
-- is: what goes is what sark.storage, which that role cannot write, lets go.
create or replace function sark.drop_charges_v1(p_now timestamptz default null) returns timestamptz
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' as $$
declare
  s sark.storage;
  v_mark sark.fold_mark;
  v_cut timestamptz;
  v_name text;
begin
  select * into s from sark.storage for no key update skip locked;
  if not found then
    return null;
  end if;
  v_cut := date_trunc('week', least(p_now, clock_timestamp()) - s.keep_charges_days * interval '1 day', 'UTC');
  if s.tier <> 'plain' then  -- chunks begin on other days; one that is not dropped keeps its first charges
    v_cut := least(v_cut, (
      select min(c.range_start) from timescaledb_information.chunks c
      where c.hypertable_schema = 'sark' and c.hypertable_name = 'cost_tracking' and c.range_end > v_cut
    ));
  end if;
  if v_cut is null or v_cut <= s.charges_kept_from then
    return s.charges_kept_from;
  end if;
  select * into v_mark from sark.fold_mark for update;
  if exists (
    select from sark.cost_tracking t
    where t.time < v_cut and t.xid >= v_mark.xid and t.recorded_at >= v_mark.recorded_from
  ) then
    return null;
  end if;

  if s.tier = 'plain' then
    for v_name in
      select format('%I.%I', n.nspname, c.relname)
      from pg_inherits i
      join pg_class c on c.oid = i.inhrelid
      join pg_namespace n on n.oid = c.relnamespace
      where i.inhparent = 'sark.cost_tracking'::regclass and c.relname ~ '^cost_tracking_\d{8}$'
        and to_date(right(c.relname, 8), 'YYYYMMDD')::timestamp at time zone 'UTC' < v_cut
    loop
      execute format('drop table %s', v_name);
    end loop;
  else
    execute format('select %I.drop_chunks(''sark.cost_tracking'', older_than => $1)', (
      select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'timescaledb'
    )) using v_cut;
  end if;
  update sark.storage set charges_kept_from = v_cut;
  return v_cut;
end $$;
revoke all on function sark.drop_charges_v1(timestamptz) from public;
