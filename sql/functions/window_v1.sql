-- The day or month an instant lies in, in a time zone: a pure function, so that no job ever resets a budget.
--
-- A window begins at local midnight. Where the clock skips midnight that is the moment it is set forward; where
-- midnight happens twice it is the second one, and the hour between the two still belongs to the day before.
create or replace function sark.window_v1(
  p_at timestamptz, p_timezone text, p_period text, out starts_at timestamptz, out ends_at timestamptz
) language sql immutable as $$
  select
    case when early then (local_start - span) at time zone p_timezone else local_start at time zone p_timezone end,
    case when early then local_start at time zone p_timezone else (local_start + span) at time zone p_timezone end
  from (
    select local_start, ('1 ' || p_period)::interval as span, local_start at time zone p_timezone > p_at as early
    from (select date_trunc(p_period, p_at at time zone p_timezone) as local_start) l
  ) w
$$;
