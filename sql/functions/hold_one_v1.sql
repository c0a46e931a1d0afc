-- A batch of one, in the plain way: a few tiny statements start faster than two large ones, which counts when nobody
-- else is asking (measured: 0.40 ms against 0.60 ms). Null when the account is missing or has quotas, or the request is
-- not new, with nothing done: hold_batch_v2, which alone calls this, then goes on.
create or replace function sark.hold_one_v1(p_requests jsonb, p_at timestamptz, p_now timestamptz) returns json
language plpgsql as $$
declare
  r constant jsonb := p_requests -> 0;
  v_org constant text := r ->> 'org';
  v_expires_at constant timestamptz := p_at + make_interval(secs => (r ->> 'ttl_s')::integer);
  v_path text[];
  v_amounts bigint[];
  v_order integer[];            -- the levels in the order of locks
  v_level integer;
  v_amount bigint;
  v_taken integer[] := '{}';    -- the levels where the amount is set aside
  v_window json;
  v_windows json[] := '{}';
begin
  select a.path, array(
    select case
      when (r ->> 'direct')::boolean then 0
      when (select c.enforcement from sark.counters c where c.org = v_org and c.account = p.account) = 'hard'
        then (r ->> 'upper_nanousd')::bigint
      else (r ->> 'expected_nanousd')::bigint
    end
    from unnest(a.path) p(account)
  ), array(
    select p.level::integer from unnest(a.path) with ordinality p(account, level) order by p.account collate "C"
  ) into v_path, v_amounts, v_order
  from sark.accounts a where a.org = v_org and a.account = v_org || '/principal/' || (r ->> 'principal_id')
    and a.meters is null;
  if not found then
    return null;
  end if;

  insert into sark.holds (
    org, request_id, path, amounts, expected, fingerprint, attribution, charged_at, expires_at, direct
  ) values (
    v_org, r ->> 'request_id', v_path, v_amounts, (r ->> 'expected_nanousd')::bigint,
    decode(r ->> 'fingerprint', 'base64'), r -> 'attribution', p_at, v_expires_at,
    coalesce((r ->> 'direct')::boolean, false)
  ) on conflict do nothing;
  if not found then
    return null;
  end if;

  foreach v_level in array v_order loop
    v_amount := v_amounts[v_level];
    update sark.counters c set day_held = c.day_held + v_amount, month_held = c.month_held + v_amount
    where c.org = v_org and c.account = v_path[v_level]
      and c.day_starts_at <= p_at and p_at < c.day_ends_at and c.month_starts_at <= p_at and p_at < c.month_ends_at
      and p_at < c.limits_until
      and (v_amount = 0 or c.enforcement in ('warn', 'shadow') or (
        (c.day_limit is null or v_amount <= c.day_limit + c.day_extra - c.day_spent - c.day_held)
        and (c.month_limit is null or v_amount <= c.month_limit + c.month_extra - c.month_spent - c.month_held)))
    returning json_build_array(
      c.account, c.enforcement, c.day_limit + c.day_extra, c.day_spent, c.day_held, c.day_starts_at, c.day_ends_at,
      c.month_limit + c.month_extra, c.month_spent, c.month_held, c.month_starts_at, c.month_ends_at
    ) into v_window;
    exit when not found;
    v_windows := v_windows || v_window;
    v_taken := v_taken || v_level;
  end loop;

  if cardinality(v_taken) = cardinality(v_path) then
    return json_build_object(
      'answers', json_build_array(json_build_array(
        v_org, r ->> 'request_id', 'held', v_path, null, null, null,
        json_build_array(v_path, 'held', v_amounts, 0, p_at, v_expires_at, null)
      )),
      'windows', array_to_json(v_windows)
    );
  end if;

  update sark.counters c set day_held = c.day_held - v_amounts[t.level], month_held = c.month_held - v_amounts[t.level]
  from unnest(v_taken) t(level)
  where c.org = v_org and c.account = v_path[t.level];
  foreach v_level in array v_order loop
    perform from sark.counters c where c.org = v_org and c.account = v_path[v_level] for no key update;
  end loop;
  return sark.hold_slowly_v2(p_requests, array[v_org || E'\n' || (r ->> 'request_id')],
    array_fill(v_org, array[cardinality(v_path)]), v_path, p_now);
end $$;
