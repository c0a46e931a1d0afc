-- A raise under the names of the Raise record, as JSON.
create or replace function sark.raise_json_v1(p_raise sark.limit_raises) returns json language sql immutable as $$
  select json_build_object(
    'id', p_raise.raise_id, 'account', p_raise.account, 'day_extra_nanousd', p_raise.day_extra_nanousd,
    'month_extra_nanousd', p_raise.month_extra_nanousd, 'starts_at', p_raise.starts_at,
    'expires_at', p_raise.expires_at, 'author', p_raise.author, 'reason', p_raise.reason,
    'created_at', p_raise.created_at, 'cancelled_at', p_raise.cancelled_at, 'cancelled_by', p_raise.cancelled_by
  )
$$;
