-- What the raises of an account add to its limits at p_at, and until when that is so: a look.
create or replace function sark.extras_v1(
  p_org text, p_account text, p_at timestamptz, out day_extra bigint, out month_extra bigint, out until timestamptz
) language sql stable as $$
  select
    coalesce(sum(r.day_extra_nanousd) filter (where r.starts_at <= p_at), 0)::bigint,
    coalesce(sum(r.month_extra_nanousd) filter (where r.starts_at <= p_at), 0)::bigint,
    coalesce(min(case when r.starts_at <= p_at then r.expires_at else r.starts_at end), 'infinity')
  from sark.limit_raises r
  where r.org = p_org and r.account = p_account and r.cancelled_at is null and r.expires_at > p_at
$$;
