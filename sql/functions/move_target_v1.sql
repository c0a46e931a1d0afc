-- Where the rows of sark.move_source_v1 go, as the text of the COPY statement that takes them; p_into is a temporary
-- table in place of the table itself.
create or replace function sark.move_target_v1(p_table text, p_part jsonb default '{}', p_into text default null)
returns text language sql stable as $$
  select format('copy %s (%s%s) from stdin', case when p_into is null then format('sark.%I', p_table) else format('pg_temp.%I', p_into) end,
    string_agg(quote_ident(c.name), ', '),
    case when p_table = 'cost_tracking' and p_part ->> 'part' in ('bulk', 'folded') then ', xid' end)
  from sark.move_columns_v1(p_table) c
$$;
