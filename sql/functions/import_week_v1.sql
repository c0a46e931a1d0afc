-- Have a place for charges of the week that begins at p_week before they are imported: on plain PostgreSQL a partition; with
-- TimescaleDB, chunks of that time that are kept as columns become rows again, since each insert into such a chunk would
-- unpack a part of it (measured: a sixth of the speed). Its policy packs them later. Answers how many were changed.
create or replace function sark.import_week_v1(p_week timestamptz) returns integer language plpgsql
set lock_timeout = '2s' as $$
declare
  v_chunk text;
  v_changed integer := 0;
begin
  if (select tier from sark.storage) = 'plain' then
    return sark.prepare_weeks_v1(p_week, p_week);
  elsif (select tier from sark.storage) = 'apache' then
    return 0;
  end if;
  for v_chunk in
    select format('%I.%I', c.chunk_schema, c.chunk_name) from timescaledb_information.chunks c
    where c.hypertable_schema = 'sark' and c.hypertable_name = 'cost_tracking' and c.is_compressed
      and c.range_start < p_week + interval '7 days' and c.range_end > p_week
  loop
    execute format('select %I.decompress_chunk($1::regclass, true)', (
      select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'timescaledb'
    )) using v_chunk;
    v_changed := v_changed + 1;
  end loop;
  return v_changed;
end $$;
