-- How many rows of an org a table has, of those that a move copies, and a sum over digests of all they say: equal in two
-- databases when the rows are. The settings make both write a row down in the same way.
create or replace function sark.move_digest_v1(
  p_table text, p_org text, p_kept_from text, out rows bigint, out digest numeric
) language plpgsql stable
set timezone = 'UTC' set datestyle = 'ISO' set bytea_output = 'hex' set extra_float_digits = 1 set jit = off as $$
begin
  execute format('select count(*), coalesce(sum((''x'' || left(md5(r::text), 15))::bit(60)::bigint::numeric), 0) from (%s) r',
    sark.move_source_v1(p_table, p_org, jsonb_build_object('part', 'all', 'kept_from', p_kept_from)))
  into rows, digest;
end $$;
