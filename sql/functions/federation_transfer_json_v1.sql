-- A transfer as the service reads it: its columns, bytes in base64.
create or replace function sark.federation_transfer_json_v1(t sark.federation_transfers) returns jsonb
language sql stable as $$
  select to_jsonb(t) || jsonb_build_object(
    'fingerprint', translate(encode(t.fingerprint, 'base64'), E'\n', ''),
    'word', translate(encode(t.word, 'base64'), E'\n', ''))
$$;
