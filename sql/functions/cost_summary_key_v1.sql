-- As sark.cost_key_v1, of a row of the daily summaries of the dimension that has the answer.
create or replace function sark.cost_summary_key_v1(p_kind text, p_org text, p_key text) returns text
language sql immutable parallel safe as $$
  select case p_kind
    when 'org' then p_org
    when 'principal' then p_key
    when 'team' then substr(p_key, length(p_org) + 7)
    when 'resource' then p_key
    when 'capability' then p_key
    when 'provider' then nullif(split_part(p_key, '/', 1), '')
    when 'model' then nullif(substr(p_key, strpos(p_key, '/') + 1), '')
    when 'tag' then substr(p_key, strpos(p_key, '=') + 1)
  end
$$;
