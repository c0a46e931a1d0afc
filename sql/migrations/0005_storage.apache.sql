-- Chunks of a week each; what the Apache licence leaves out (columnstore, policies) is left out.
insert into sark.storage (tier) values ('apache');

-- The older form of the call, which every version knows.
select create_hypertable('sark.cost_tracking', 'time', chunk_time_interval => interval '7 days',
  create_default_indexes => false, migrate_data => true);
