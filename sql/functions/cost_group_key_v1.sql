-- As sark.cost_key_v1, of a row of sark.daily_groups, whose path is a text. The team is the first account above the leaf
-- that is one: mostly the very next, which takes no search.
create or replace function sark.cost_group_key_v1(
  p_kind text, p_org text, p_path text, p_principal text, p_resource text, p_provider text, p_model text
) returns text language sql immutable parallel safe as $$
  select case p_kind
    when 'org' then p_org
    when 'principal' then p_principal
    when 'team' then case
      when starts_with(split_part(p_path, e'\n', 2), p_org || '/team/')
        then substr(split_part(p_path, e'\n', 2), length(p_org) + 7)
      else substring(p_path from '\n[^/\n]+/team/([^\n]+)')
    end
    when 'resource' then p_resource
    when 'provider' then nullif(p_provider, '')
    when 'model' then nullif(p_model, '')
  end
$$;
