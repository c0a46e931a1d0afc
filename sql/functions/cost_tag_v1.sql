-- The value under which a tag of a charge is going to be in the summaries: itself, or `(other)` where its tag has too
-- many of them (sark.tag_key_v1 says which).
create or replace function sark.cost_tag_v1(p_org text, p_tag text, p_value text) returns text
language sql stable parallel safe as $$
  select case when p_value is not null and exists (
    select from sark.tags g where g.org = p_org and g.tag = p_tag and g.values_seen >= 1000
  ) and not exists (
    select from sark.tag_values v where v.org = p_org and v.key = p_tag || '=' || p_value
  ) then '(other)' else p_value end
$$;
