-- The key under which a tag, `name=value`, is in the summaries: that, or `name=(other)` once a tag of an org has had a
-- thousand values, so that a tag such as a trace id does not make the summaries as large as the charges.
create or replace function sark.tag_key_v1(p_org text, p_key text) returns text language plpgsql as $$
declare
  v_tag constant text := split_part(p_key, '=', 1);
begin
  perform from sark.tag_values where org = p_org and key = p_key;
  if found then
    return p_key;
  end if;
  insert into sark.tags as t (org, tag, values_seen) values (p_org, v_tag, 1)
  on conflict (org, tag) do update set values_seen = t.values_seen + 1 where t.values_seen < 1000;
  if not found then
    return v_tag || '=(other)';
  end if;
  insert into sark.tag_values (org, key) values (p_org, p_key);
  return p_key;
end $$;
