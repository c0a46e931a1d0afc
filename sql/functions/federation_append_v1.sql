-- Take a statement into its chain, with whatever waited for it. p_statement: {issuer, audience, sequence, digest,
-- previous, period, revision, issued_at, entries: [{direction, alias, charges, amount_nanousd, input_tokens, …}]}.
-- Who calls has checked its signature. Answers a word:
--   applied · duplicate: the same bytes are here · waiting: its predecessors are not here yet
--   changed_past: another statement of this number is here, or it does not follow the last one
--   wrong_revision: not the next revision of its day · too_far: more than 1000 are missing before it
--   stale: p_own, and another process of ours has published meanwhile
-- Of changed_past and wrong_revision the evidence is kept, and nothing of it is taken.
create or replace function sark.federation_append_v1(
  p_org text, p_statement jsonb, p_envelope bytea, p_own boolean
) returns text language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
declare
  v_issuer constant text := p_statement ->> 'issuer';
  v_audience constant text := p_statement ->> 'audience';
  v_sequence bigint := (p_statement ->> 'sequence')::bigint;
  v_chain sark.federation_chains;
  v_statement jsonb := p_statement;
  v_envelope bytea := p_envelope;
  v_known text;
  v_fault text;
  v_answer text := 'applied';
begin
  insert into sark.federation_chains (org, issuer, audience) values (p_org, v_issuer, v_audience) on conflict do nothing;
  select * into v_chain from sark.federation_chains c
  where c.org = p_org and c.issuer = v_issuer and c.audience = v_audience for update;

  select s.digest into v_known from sark.federation_statements s
  where s.org = p_org and s.issuer = v_issuer and s.audience = v_audience and s.sequence = v_sequence;
  if not found then
    select w.statement ->> 'digest' into v_known from sark.federation_waiting w
    where w.org = p_org and w.issuer = v_issuer and w.audience = v_audience and w.sequence = v_sequence;
  end if;
  if p_own and (v_known is not null or v_sequence <> v_chain.sequence + 1) then
    return 'stale';
  elsif v_known = p_statement ->> 'digest' then
    return 'duplicate';
  elsif v_known is not null then
    v_fault := 'changed_past';
  elsif v_sequence > v_chain.sequence + 1000 then
    return 'too_far';
  elsif v_sequence > v_chain.sequence + 1 then
    insert into sark.federation_waiting values (p_org, v_issuer, v_audience, v_sequence, p_statement, p_envelope);
    update sark.federation_chains c set seen = greatest(c.seen, v_sequence)
    where c.org = p_org and c.issuer = v_issuer and c.audience = v_audience;
    return 'waiting';
  end if;

  loop
    if v_fault is null then
      v_fault := case
        when v_statement ->> 'previous' is distinct from v_chain.digest then 'changed_past'
        when (v_statement ->> 'revision')::integer <> 1 + coalesce((
          select p.revision from sark.federation_periods p
          where p.org = p_org and p.issuer = v_issuer and p.audience = v_audience
            and p.period = (v_statement ->> 'period')::date
        ), 0) then 'wrong_revision'
      end;
    end if;
    if v_fault is not null then
      insert into sark.federation_evidence (org, issuer, audience, sequence, digest, code, envelope)
      values (p_org, v_issuer, v_audience, v_sequence, v_statement ->> 'digest', v_fault, v_envelope)
      on conflict do nothing;
      update sark.federation_chains c set
        problem = format('%s: statement %s', v_fault, v_sequence), problem_at = clock_timestamp()
      where c.org = p_org and c.issuer = v_issuer and c.audience = v_audience;
      -- What waited and turns out wrong is not what was sent now.
      return case when v_statement = p_statement then v_fault else v_answer end;
    end if;

    insert into sark.federation_statements (
      org, issuer, audience, sequence, digest, previous, period, revision, issued_at, envelope
    ) values (
      p_org, v_issuer, v_audience, v_sequence, v_statement ->> 'digest', v_statement ->> 'previous',
      (v_statement ->> 'period')::date, (v_statement ->> 'revision')::integer,
      (v_statement ->> 'issued_at')::timestamptz, v_envelope
    );
    insert into sark.federation_entries
    select p_org, v_issuer, v_audience, (v_statement ->> 'period')::date, (v_statement ->> 'revision')::integer, e.*
    from jsonb_to_recordset(v_statement -> 'entries') e(
      direction text, alias text, charges bigint, amount_nanousd bigint, input_tokens bigint, output_tokens bigint,
      cache_read_tokens bigint, cache_write_tokens bigint);
    insert into sark.federation_periods
    values (p_org, v_issuer, v_audience, (v_statement ->> 'period')::date, (v_statement ->> 'revision')::integer,
      v_sequence)
    on conflict (org, issuer, audience, period) do update
    set revision = excluded.revision, sequence = excluded.sequence;
    update sark.federation_chains c set
      sequence = v_sequence, digest = v_statement ->> 'digest', seen = greatest(c.seen, v_sequence)
    where c.org = p_org and c.issuer = v_issuer and c.audience = v_audience
    returning * into v_chain;

    delete from sark.federation_waiting w
    where w.org = p_org and w.issuer = v_issuer and w.audience = v_audience and w.sequence = v_sequence + 1
    returning w.statement, w.envelope into v_statement, v_envelope;
    exit when not found;
    v_sequence := v_sequence + 1;
  end loop;
  return v_answer;
end $$;
