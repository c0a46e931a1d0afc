-- name: heads
-- Every plugin there is to know of, without its content.
select sark.plugin_head_v1(p) from sark.plugins p order by p.name;

-- name: get
-- An uploaded plugin with its content.
select sark.plugin_head_v1(p), p.version, p.media_type, p.content, p.digest, p.config, p.enabled
from sark.plugins p where p.name = %(name)s and p.content is not null;

-- name: put
-- Store a plugin.
select sark.put_plugin_v1(%(name)s, %(plugin)s::jsonb, %(content)s, %(event)s::jsonb);

-- name: change
-- Change how a plugin runs.
select sark.change_plugin_v1(%(name)s, %(change)s::jsonb, %(event)s::jsonb);

-- name: remove
-- Remove an uploaded plugin.
select sark.remove_plugin_v1(%(name)s, %(event)s::jsonb);
