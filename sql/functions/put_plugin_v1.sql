-- Store a plugin and the event that tells of it. p_plugin: {version, media_type, digest, config, enabled}.
-- Answers its head.
--
-- The row is locked before the event is written, so that of two at once the later one has the larger revision, and
-- its content.
create or replace function sark.put_plugin_v1(p_name text, p_plugin jsonb, p_content bytea, p_event jsonb)
returns json language plpgsql as $$
declare
  v_stored sark.plugins;
  v_id bigint;
begin
  insert into sark.plugins (name, updated_by) values (p_name, p_event ->> 'actor')
  on conflict (name) do update set updated_by = excluded.updated_by;
  v_id := sark.audit_v1(p_event);
  update sark.plugins p set
    version = p_plugin ->> 'version', media_type = p_plugin ->> 'media_type', digest = p_plugin ->> 'digest',
    content = p_content, config = p_plugin -> 'config', enabled = (p_plugin ->> 'enabled')::boolean,
    revision = v_id, load_revision = v_id, updated_at = clock_timestamp()
  where p.name = p_name
  returning p.* into v_stored;
  return sark.plugin_head_v1(v_stored);
end $$;
