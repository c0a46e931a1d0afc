-- An org's charges of a span of time that lies in one billing period, as FOCUS rows: the columns of FOCUS 1.2 and 1.4
-- together, then those of ours. docs/reference/focus.md says what each holds and why. Every account of p_within is on
-- their path.
--
-- Seen as in a snapshot that may be long past: entries of transactions before p_xmin, or before p_xmax and not open
-- then, and all that was recorded before p_recorded_from, when xids were another server's. p_guarded puts an
-- apostrophe before texts that a spreadsheet would read as formulas.
--
-- Without settings of its own, so that it is put in its caller's place and reads only the partitions asked for.
create or replace function sark.focus_charges_v1(
  p_org text, p_from timestamptz, p_to timestamptz, p_period_from timestamptz, p_period_to timestamptz,
  p_within text[], p_xmin bigint, p_xmax bigint, p_open bigint[], p_recorded_from timestamptz, p_guarded boolean
) returns table (
  "BilledCost" numeric, "BillingAccountId" text, "BillingAccountName" text, "BillingAccountType" text,
  "BillingCurrency" text, "BillingPeriodEnd" text, "BillingPeriodStart" text, "ChargeCategory" text,
  "ChargeClass" text, "ChargeDescription" text, "ChargeFrequency" text, "ChargePeriodEnd" text,
  "ChargePeriodStart" text, "ConsumedQuantity" numeric, "ConsumedUnit" text, "ContractedCost" numeric,
  "ContractedUnitPrice" numeric, "EffectiveCost" numeric, "HostProviderName" text, "InvoiceId" text,
  "InvoiceIssuerName" text,
  "ListCost" numeric, "ListUnitPrice" numeric, "PricingCategory" text, "PricingQuantity" numeric, "PricingUnit" text,
  "ProviderName" text, "PublisherName" text, "RegionId" text, "RegionName" text, "ResourceId" text,
  "ResourceName" text, "ResourceType" text, "ServiceCategory" text, "ServiceName" text, "ServiceProviderName" text,
  "ServiceSubcategory" text, "SkuId" text, "SkuMeter" text, "SkuPriceDetails" text, "SkuPriceId" text,
  "SubAccountId" text, "SubAccountName" text, "SubAccountType" text, "Tags" text,
  "x_Account" text, "x_AccountPath" text, "x_BudgetDay" date, "x_CacheReadTokens" bigint, "x_CacheWriteTokens" bigint,
  "x_CapabilityId" text, "x_ChargedAt" text, "x_Entry" smallint, "x_EntryKind" text, "x_Estimated" text,
  "x_EstimatedCost" numeric, "x_HeldCost" numeric, "x_HoldExceeded" text, "x_InputTokens" bigint, "x_Late" text,
  "x_Model" text, "x_OutputTokens" bigint, "x_PriceRevision" text, "x_PrincipalId" text, "x_Provider" text,
  "x_RecordedAt" text, "x_RequestId" text, "x_ReratingId" text, "x_Tokens" text
) language sql stable as $$
  select
    d.cost, t.org, t.org, 'Organization', t.currency,
    (select to_char(p_period_to at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
    (select to_char(p_period_from at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
    'Usage', case when t.entry > 1 and t.recorded_at >= p_period_to then 'Correction' end,
    case t.kind when 'expiry' then 'Hold charged at its expiry: ' when 'reversal' then 'Taken back: ' else '' end
      || case when t.model is null then '' else t.model || ', ' end || t.capability_id || ' of ' || t.resource_id,
    'Usage-Based',
    case when d.hour + interval '1 hour' <= p_period_to
      then to_char((d.hour + interval '1 hour') at time zone 'UTC', 'YYYY-MM-DD"T"HH24":00:00Z"')
      else (select to_char(p_period_to at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
    end,
    case when d.hour >= p_period_from
      then left(d.charged_at, 13) || ':00:00Z'
      else (select to_char(p_period_from at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
    end,
    case when d.taken_back then -coalesce(d.tokens, 1) else coalesce(d.tokens, 1) end::numeric(20, 1),
    case when d.tokens is null then 'Requests' else 'Tokens' end,
    d.cost, abs(d.cost), d.cost, null, null, g.seller, d.cost, abs(d.cost), 'Standard',
    case when d.taken_back then -1.0 else 1.0 end, 'Requests', g.seller, g.seller, null, null, g.resource_id, null,
    case when t.model is null then 'Tool' else 'Model' end,
    case when t.model is null then 'Other' else 'AI and Machine Learning' end,
    g.seller || case when t.model is null then ' tools' else ' models' end, g.seller,
    case when t.model is null then 'Other (Other)' else 'Generative AI' end,
    g.sku, 'Requests', '{"x_PriceRevision":' || to_json(t.price_revision) || '}',
    g.sku || coalesce('@' || t.price_revision, ''),
    g.sub_account, g.sub_account_name, case when d.sub_account is not null then 'Team' end,
    case when t.tags <> '{}' then t.tags::text end,
    g.account, to_json(t.path)::text, t.budget_day, (t.tokens ->> 'cache_read_tokens')::bigint,
    (t.tokens ->> 'cache_write_tokens')::bigint, g.capability_id, d.charged_at, t.entry, t.kind, t.estimated::text,
    t.estimated_nanousd * 0.000000001, t.held_nanousd * 0.000000001, t.hold_exceeded::text,
    d.input_tokens, t.late::text, g.model,
    d.output_tokens, t.price_revision, g.principal_id, g.provider,
    to_char(t.recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), g.request_id, t.rerating_id,
    case when t.tokens <> '{}' then t.tokens::text end
  from sark.cost_tracking t
  cross join lateral (
    select
      i.*, coalesce(i.input_tokens + i.output_tokens, i.input_tokens, i.output_tokens) as tokens
    from (
      select
        t.actual_nanousd * 0.000000001 as cost, t.kind = 'reversal' as taken_back,
        date_trunc('hour', t.time, 'UTC') as hour,
        to_char(t.time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as charged_at,
        (t.tokens ->> 'input_tokens')::bigint as input_tokens, (t.tokens ->> 'output_tokens')::bigint as output_tokens,
        coalesce(t.provider, t.resource_id) as seller,
        case  -- the nearest team; told apart without a subquery as long as the tree is not deep
          when starts_with(t.path[1], t.org || '/team/') then t.path[1]
          when starts_with(t.path[2], t.org || '/team/') then t.path[2]
          when starts_with(t.path[3], t.org || '/team/') then t.path[3]
          when cardinality(t.path) > 4 then (
            select p.account from unnest(t.path) with ordinality p(account, level)
            where starts_with(p.account, t.org || '/team/') order by p.level limit 1
          )
        end as sub_account
      offset 0  -- or each of these would be worked out again wherever it is named
    ) i
  ) d
  cross join lateral (
    select
      sark.spreadsheet_text_v1(d.seller, p_guarded) as seller,
      sark.spreadsheet_text_v1(d.seller || '/' || coalesce(t.model, t.capability_id), p_guarded) as sku,
      sark.spreadsheet_text_v1(t.resource_id, p_guarded) as resource_id,
      sark.spreadsheet_text_v1(t.capability_id, p_guarded) as capability_id,
      sark.spreadsheet_text_v1(t.principal_id, p_guarded) as principal_id,
      sark.spreadsheet_text_v1(t.provider, p_guarded) as provider,
      sark.spreadsheet_text_v1(t.model, p_guarded) as model,
      sark.spreadsheet_text_v1(t.request_id, p_guarded) as request_id,
      sark.spreadsheet_text_v1(t.account, p_guarded) as account,
      sark.spreadsheet_text_v1(d.sub_account, p_guarded) as sub_account,
      sark.spreadsheet_text_v1(substr(d.sub_account, length(t.org) + 7), p_guarded) as sub_account_name
  ) g
  where t.org = p_org and t.time >= p_from and t.time < p_to and t.path @> p_within
    and (t.xid < p_xmin or (t.xid < p_xmax and t.xid <> all (p_open)) or t.recorded_at < p_recorded_from)
$$;
