-- Secrets may be encrypted by the hub: sealed:v1:, the id of the master key, base64 of nonce,
-- AES-256-GCM ciphertext and tag. Plain ones are as good, so INSERTs by hand stay as they are.

ALTER TABLE subscribers
  DROP CONSTRAINT secret_is_whsec_and_base64,
  DROP CONSTRAINT previous_secret_is_whsec_and_base64,
  ADD CONSTRAINT secret_is_whsec_and_base64
    CHECK (secret ~ '^whsec_[A-Za-z0-9+/]{32,88}={0,2}$'
           OR secret ~ '^sealed:v1:[0-9a-f]{16}:[A-Za-z0-9+/]{80,255}={0,2}$'),
  ADD CONSTRAINT previous_secret_is_whsec_and_base64
    CHECK (previous_secret ~ '^whsec_[A-Za-z0-9+/]{32,88}={0,2}$'
           OR previous_secret ~ '^sealed:v1:[0-9a-f]{16}:[A-Za-z0-9+/]{80,255}={0,2}$');
