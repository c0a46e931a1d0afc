-- Chunks of a week each, kept as columns when they are a month old.
insert into sark.storage (tier) values ('tsl');

-- The older form of the call, which every version knows. It empties the table once what was in it lies in chunks.
drop trigger cost_tracking_no_truncate on sark.cost_tracking;
select create_hypertable('sark.cost_tracking', 'time', chunk_time_interval => interval '7 days',
  create_default_indexes => false, migrate_data => true);
create trigger cost_tracking_no_truncate before truncate on sark.cost_tracking
  for each statement execute function sark.refuse_edit();

-- Of each column it is ordered by, a batch of rows keeps the least and the greatest value. Those of xid let the summaries
-- pass by what they have seen; without them each look for new charges would unpack all old ones.
alter table sark.cost_tracking set (
  timescaledb.compress, timescaledb.compress_segmentby = 'org',
  timescaledb.compress_orderby = 'principal_id, time desc, xid'
);

-- The names changed with version 2.18; the old ones go with one of the next.
do $$
begin
  if (select string_to_array(split_part(extversion, '-', 1), '.')::integer[] >= array[2, 18]
      from pg_extension where extname = 'timescaledb') then
    call add_columnstore_policy('sark.cost_tracking', after => interval '30 days');
  else
    perform add_compression_policy('sark.cost_tracking', interval '30 days');
  end if;
end $$;
