-- The tokens of a charge: what went in and what came out, each with all its parts; null where the charge tells neither.
create or replace function sark.billed_tokens_v1(p_tokens jsonb) returns bigint language sql immutable as $$
  select case when p_tokens ? 'input_tokens' or p_tokens ? 'output_tokens' then
    coalesce((p_tokens ->> 'input_tokens')::bigint, 0) + coalesce((p_tokens ->> 'output_tokens')::bigint, 0)
  end
$$;
