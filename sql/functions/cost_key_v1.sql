-- What a charge is grouped by: p_kind is one of the words below, p_tag the name of the tag. Null where it has none.
--
-- One expression without a subquery, so that it becomes part of the statement and costs what its own branch costs. The
-- team is that of the principal: the first on its path, leaf to org.
create or replace function sark.cost_key_v1(
  p_kind text, p_tag text, p_org text, p_path text[], p_principal text, p_resource text, p_capability text,
  p_provider text, p_model text, p_tags jsonb
) returns text language sql stable parallel safe as $$
  select case p_kind
    when 'org' then p_org
    when 'principal' then p_principal
    when 'team' then case
      when split_part(p_path[2], '/', 2) = 'team' then substr(p_path[2], length(p_org) + 7)
      when cardinality(p_path) > 2 then substring(array_to_string(p_path, e'\n') from '\n[^/\n]+/team/([^\n]+)')
    end
    when 'resource' then p_resource
    when 'capability' then p_capability
    when 'provider' then nullif(p_provider, '')
    when 'model' then nullif(p_model, '')
    when 'tag' then p_tags ->> p_tag
  end
$$;
