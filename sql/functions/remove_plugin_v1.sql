-- Remove an uploaded plugin, and write the event that tells of it. Answers whether there was one.
create or replace function sark.remove_plugin_v1(p_name text, p_event jsonb) returns boolean language plpgsql as $$
begin
  delete from sark.plugins where name = p_name and content is not null;
  if not found then
    return false;
  end if;
  perform sark.audit_v1(p_event);
  return true;
end $$;
