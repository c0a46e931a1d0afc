-- What a service process compares with what it runs: a plugin without its content.
create or replace function sark.plugin_head_v1(p_plugin sark.plugins) returns json language sql stable as $$
  select json_build_object(
    'name', p_plugin.name, 'version', p_plugin.version, 'digest', p_plugin.digest, 'enabled', p_plugin.enabled,
    'revision', p_plugin.revision, 'load_revision', p_plugin.load_revision,
    'release_revision', p_plugin.release_revision, 'uploaded', p_plugin.content is not null
  )
$$;
