-- Chunks of a week each; what the Apache licence leaves out (columnstore, policies) is left out.
insert into sark.storage (tier) values ('apache');

-- The older form of the call, which every version knows. It empties the table once what was in it lies in chunks.
drop trigger cost_tracking_no_truncate on sark.cost_tracking;
select create_hypertable('sark.cost_tracking', 'time', chunk_time_interval => interval '7 days',
  create_default_indexes => false, migrate_data => true);
create trigger cost_tracking_no_truncate before truncate on sark.cost_tracking
  for each statement execute function sark.refuse_edit();
