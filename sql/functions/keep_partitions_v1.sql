-- On plain PostgreSQL: have a partition for each week from the last one to p_weeks_ahead from now, and move what fell
-- into the default partition to where it belongs. Answers how many were made; null when somebody else is at it.
--
-- A new partition is attached, which other statements do not wait for. Only when the default one holds rows, because
-- nobody made partitions for weeks, is everything locked for as long as it takes to move them.
create or replace function sark.keep_partitions_v1(p_weeks_ahead integer default 5, p_now timestamptz default null)
returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' as $$
declare
  v_now constant timestamptz := coalesce(p_now, clock_timestamp());
  v_missing timestamptz[];
  v_stray boolean;
  v_week timestamptz;
  v_name text;
begin
  perform from sark.storage for no key update skip locked;
  if not found then
    return null;
  elsif (select tier from sark.storage) <> 'plain' then
    return 0;  -- chunks are made as they are needed
  end if;

  select array_agg(w.week order by w.week) into v_missing
  from (
    select generate_series(date_trunc('week', v_now, 'UTC') - interval '7 days',
      date_trunc('week', v_now, 'UTC') + p_weeks_ahead * interval '7 days', interval '7 days') as week
    union
    select date_trunc('week', t.time, 'UTC') from sark.cost_tracking_default t
  ) w
  where to_regclass(sark.partition_name_v1(w.week)) is null;
  if v_missing is null then
    return 0;
  end if;

  v_stray := exists (select from sark.cost_tracking_default);
  if v_stray then
    alter table sark.cost_tracking detach partition sark.cost_tracking_default;
    alter table sark.cost_tracking_default rename to cost_tracking_strays;
  end if;
  foreach v_week in array v_missing loop
    v_name := sark.partition_name_v1(v_week);
    execute format('create table %s (like sark.cost_tracking including defaults including constraints)', v_name);
    execute format('alter table sark.cost_tracking attach partition %s for values from (%L) to (%L)',
      v_name, v_week, v_week + interval '7 days');
    execute format('create trigger cost_tracking_no_truncate before truncate on %s for each statement '
      'execute function sark.refuse_edit()', v_name);
  end loop;
  if v_stray then
    insert into sark.cost_tracking select * from sark.cost_tracking_strays;
    drop table sark.cost_tracking_strays;
    create table sark.cost_tracking_default partition of sark.cost_tracking default;
    create trigger cost_tracking_no_truncate before truncate on sark.cost_tracking_default
      for each statement execute function sark.refuse_edit();
  end if;
  return cardinality(v_missing);
end $$;
revoke all on function sark.keep_partitions_v1(integer, timestamptz) from public;
