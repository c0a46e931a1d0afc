-- name: tables
-- Tables with their rows, as far as statistics know, and bytes; a partitioned one with its partitions.
select c.relname, sum(greatest(k.reltuples, 0))::bigint, sum(pg_table_size(k.oid))::bigint, sum(pg_indexes_size(k.oid))::bigint
from pg_class c
cross join lateral (select c.oid as relid union select t.relid from pg_partition_tree(c.oid) t) p
join pg_class k on k.oid = p.relid
where c.relnamespace = 'sark'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
group by c.relname
order by 3 desc, 1;

-- name: partitions
-- Weeks of charges on plain PostgreSQL; the default partition, which has no bounds, comes last.
select c.relname, b.week, b.week + interval '7 days', false, pg_table_size(c.oid), pg_indexes_size(c.oid)
from pg_inherits i
join pg_class c on c.oid = i.inhrelid
cross join lateral (
  select case when c.relname ~ '^cost_tracking_\d{8}$'
    then to_date(right(c.relname, 8), 'YYYYMMDD')::timestamp at time zone 'UTC' end as week
) b
where i.inhparent = 'sark.cost_tracking'::regclass
order by b.week nulls last;

-- name: chunks
-- Weeks of charges with TimescaleDB; the bytes of one that is compressed are those it has left.
select c.chunk_name, c.range_start, c.range_end, c.is_compressed, (s.table_bytes + s.toast_bytes)::bigint, s.index_bytes::bigint
from timescaledb_information.chunks c
join chunks_detailed_size('sark.cost_tracking') s on s.chunk_schema = c.chunk_schema and s.chunk_name = c.chunk_name
where c.hypertable_schema = 'sark' and c.hypertable_name = 'cost_tracking'
order by c.range_start;

-- name: chunk_rows
-- About how many charges the chunks hold.
select approximate_row_count('sark.cost_tracking')::bigint;

-- name: oldest_transaction
-- The transaction that has been open for longest and may write: charges that come after it are not summarised before it
-- ends. Who it is can be seen by roles that are a member of pg_read_all_stats.
select o.kind, o.who, o.state, greatest(0, extract(epoch from clock_timestamp() - o.since))::double precision
from (
  select 'transaction' as kind, format('pid %s, %s, %s', a.pid, a.usename, a.application_name) as who, a.state,
    a.xact_start as since
  from pg_stat_activity a
  where a.backend_xid is not null and a.pid <> pg_backend_pid()
  union all
  select 'prepared transaction', format('%s, %s', p.gid, p.owner), 'prepared', p.prepared from pg_prepared_xacts p
) o
order by o.since
limit 1;
