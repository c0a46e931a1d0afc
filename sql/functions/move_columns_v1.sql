-- The columns of a table that a move copies, in order, and how each is read (the row is `t`). Transaction ids belong to
-- one database, so they are not among them; a hold that is parked is copied as it was.
create or replace function sark.move_columns_v1(p_table text) returns table (name text, expression text)
language sql stable as $$
  select a.attname::text, case
    when p_table = 'holds' and a.attname = 'expires_at' then
      'case when t.state = ''held'' then coalesce((select p.expires_at from sark.parked_holds p '
      'where p.org = t.org and p.request_id = t.request_id), t.expires_at) else t.expires_at end'
    else format('t.%I', a.attname)
  end
  from pg_attribute a
  where a.attrelid = format('sark.%I', p_table)::regclass and a.attnum > 0 and not a.attisdropped
    and a.attgenerated = ''
    and (p_table, a.attname) not in (
      ('cost_tracking', 'xid'), ('federation_transfers', 'xid'), ('federation_chains', 'looked_at_xid'))
  order by a.attnum
$$;
