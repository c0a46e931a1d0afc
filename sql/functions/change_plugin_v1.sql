-- Change how a plugin runs, and write the event that tells of it. p_change may hold `enabled`, `config`, and true for
-- `load` (load it anew) and for `release` (lift its quarantine). Answers its head.
--
-- A plugin that the settings name gets its row here.
create or replace function sark.change_plugin_v1(p_name text, p_change jsonb, p_event jsonb)
returns json language plpgsql as $$
declare
  v_stored sark.plugins;
  v_id bigint;
begin
  insert into sark.plugins (name, updated_by) values (p_name, p_event ->> 'actor')
  on conflict (name) do update set updated_by = excluded.updated_by;
  v_id := sark.audit_v1(p_event);
  update sark.plugins p set
    enabled = coalesce((p_change ->> 'enabled')::boolean, p.enabled),
    config = coalesce(p_change -> 'config', p.config),
    revision = v_id,
    load_revision = case when p_change -> 'load' = 'true' then v_id else p.load_revision end,
    release_revision = case when p_change -> 'release' = 'true' then v_id else p.release_revision end,
    updated_at = clock_timestamp()
  where p.name = p_name
  returning p.* into v_stored;
  return sark.plugin_head_v1(v_stored);
end $$;
