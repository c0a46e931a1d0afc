-- A settled hold as the charge it became: what a repeated settlement is answered with, too, also after a re-rating.
create or replace function sark.charge_json_v1(h sark.holds) returns json language sql stable as $$
  select json_build_object(
    'entry', case when h.expiry_booked then 3 else 1 end, 'attribution', h.attribution,
    'estimated_nanousd', h.expected, 'held_nanousd', (select max(a) from unnest(h.amounts) a),
    'actual_nanousd', coalesce(h.settled_nanousd, h.booked),
    'charged_at', h.charged_at, 'price_revision', h.price_revision, 'late', h.late,
    'hold_exceeded', h.hold_exceeded, 'estimated', h.estimated
  )
$$;
