//! A secrets engine for HashiCorp Vault and OpenBao that leases short-lived API keys of AI vendors.
//!
//! # The rooms, and who may use whom
//!
//! | room | what it is | may use |
//! |---|---|---|
//! | [`base`] | time, randomness, secrets, bounded text | nothing |
//! | [`schema`] | fields as run-time values: parsing, help, OpenAPI | base |
//! | [`go_plugin`] | the transport: handshake, AutoMTLS, broker, log lines; knows nothing of Vault | base |
//! | [`logical`] | Vault's contract as plain types: request, response, error, storage | schema, base |
//! | [`vault`] | the only room that sees Vault's protobuf: wire to logical and back | go_plugin, logical, base |
//! | [`framework`] | a declarative backend: a table of paths; names no vendor | logical, schema, base |
//! | [`providers`] | AI vendors behind one trait; know nothing of Vault | schema, base |
//! | [`engine`] | the secrets engine itself | framework, logical, providers, schema, base |
//!
//! `tests/tidy.rs` reads the `use` lines and fails where one goes the other way.
//!
//! # Invariants
//!
//! - Nothing is created at a vendor before its row is in the ledger; nothing leaves the ledger before the vendor has
//!   confirmed it gone. There is no other log: no write-ahead entries, no undo records.
//! - An operation that a path does not declare has no effect: the operation is looked at before the path, because the host
//!   sends requests of strangers (`resolve-path`) before it has looked at a token.
//! - A handler is never dropped half-way. Each runs in a task of its own; where the caller has hung up, a lease that nobody
//!   received comes back as a revocation. So no other code has to know that callers hang up.
//! - No secret is in an error, a log line, a `Debug` output, a lease id, a ledger row or `internal_data`.
//! - stdout belongs to the handshake, stderr to the one encoder of log lines.
//! - No vendor's name in the framework, no vendor told apart by name in the engine, no Vault type in providers, no protobuf
//!   type outside `vault` and `go_plugin`, no HTTP status of Vault's outside `logical::error`.
//! - Time and randomness are injected.
//!
//! # A key's life
//!
//! ```text
//! mint:    row(minting) stored -> vendor creates -> row(live) stored -> answer
//!          an error that certainly made nothing drops the row; any other leaves it to the sweep
//! token:   row(expiring) stored -> vendor gives a token -> answer; its row goes when it ends, and nobody is asked about it
//! renew:   row(new deadline) stored -> vendor's expiry moved, or confirmed before to be far enough -> answer
//! revoke:  vendor deletes (from the lease's own data, row or no row) -> row dropped; a failure is noted and tried again
//! sweep:   minting rows that nobody works on: looked for at the vendor after 2, 10 and 60 minutes; live rows an hour past
//!          their deadline: deleted; failed revocations: tried again, at last once an hour
//! lend:    key's record names a row -> row(minting) stored -> vendor switches it on -> row(live) stored -> answer; at its end
//!          row(revoking) stored -> vendor switches it off -> row dropped
//! rotate:  as mint, and the new credential pending in the config -> proven -> in use, one write -> the old one's row(revoking)
//! unmount: no new mints, running ones undone, then every remaining row's key is deleted
//! moved:   the storage no longer holds this mount's `meta`: nothing works until the plugin is reloaded
//! ```
//!
//! Where this differs from a plain reading of "write-ahead log": a log entry that goes before the response cannot cover the
//! moment between the response leaving us and the host storing the lease. A row that stays until the vendor has confirmed the
//! deletion can, and it is the inventory as well.
//!
//! # Choices that the design left open
//!
//! - Configs and roles are read from storage for each mint (0.15 ms each, beside two writes of 2.5 ms): nothing can be stale
//!   on any node. Only opened HTTP clients are kept, and each is used while the stored record is the same to the letter.
//! - A config's generation is a random word, not a number: a name that is deleted and written again never meets old keys.
//! - Undoing a key that nobody waits for is the transport's part (a revocation sent to ourselves), not the mint's.
//! - A path matches to the letter, a final slash included: the host's policies compare what was sent, and a second spelling of
//!   a path would go around a rule about the first.
//! - A role keeps the vendor that it was written for: another vendor would not know its limits and drop them.
//! - A renewal moves nothing to an earlier time, neither the row's deadline nor the vendor's expiry: until the host has our
//!   answer it keeps the older, perhaps longer, lease.
//! - A vendor that cannot be asked fails no renewal that its present expiry of the key covers: agents take one failed renewal
//!   for the end of the lease and read a new key, which such a vendor cannot make. What it has confirmed is in the lease
//!   itself; a row's expiry is the latest that may be, since a row is dropped only when the key has certainly ended.
//! - "Gone already" of a key that is younger than the vendor's lag, and a helper object found without its key, settle nothing:
//!   the sweep asks again.
//! - A retired account whose vendor and identity are the present config's is used with the present credential: an admin key
//!   that was replaced is refused for old keys too.
//! - How a credential ends is asked of the account (`Vendor::ends`), not of the vendor: one authorization server revokes
//!   tokens and the next does not. A changed revoke_url makes a new generation, so a lease is revoked as it has said.
//! - A lease of a token is as long as its token even where the token could be revoked before: a revocation that fails would
//!   leave a token that nothing shows.
//! - Asking for a token may be repeated: one whose answer was lost is with nobody, and ends by itself.
//! - The issuer's keys are one record, and what each of them is follows from it and the clock: activation writes nothing, and
//!   no crash leaves half a rotation. The writer only drops what has ended.
//! - A key's order is that of the record, not of its times: a clock that is set back must not bring a retired key back.
//! - No path hands out an assertion, so no policy has to say who may have one. Signing reads storage; strangers read memory.
//! - An issuer's URL in a second spelling is refused, not mended: vendors compare `iss` to the letter with what they were told.
//! - A text about the caller that is too long is left out of an assertion, never cut: a rule at a vendor compares it.
//! - `iat` is the moment of signing and only `nbf` lies a minute before: some vendors limit the time from `iat` to `exp`.
//! - An assertion lives for 24 h at most, so that how long a retired key is published (48 h) needs no record of what it signed.
//! - Federated accounts are vendors of their own: one vendor declares one source and one end of its credentials.
//! - An account without a stored credential sends its assertions to the vendor's own URL, by no certificate of the writer's:
//!   there is no credential that a changed way could be made to carry. A server on this machine gets assertions for itself.
//! - An exchange is not repeated where its outcome is unknown: an assertion is good for once, and the token ends by itself.
//! - A key is made in the name of its config, whoever asks: the token that stands for the admin key is shared by all roles.
//! - The check of a federated config tries an assertion about the config, and takes a refusal for a warning: a good rule
//!   names a role.
//! - RS256 keys are made by `rsa` and sign with ring, whose signatures leak nothing by their time; 2048 bits, see
//!   `engine::identity`. ES256 keys and all signatures take ring's own randomness, since it takes no other.
//! - A vendor whose API is plain HTTP is a JSON document, for us as for users. It has words for calls and none for hosts,
//!   redirects, secrets outside its auth block or bodies that are shown: what cannot be said needs no check.
//! - A definition's declared field that no call sends is an error: it would be a limit that nobody keeps.
//! - The definition is a part of the account: another one is another generation, and ends no key that it did not make.
//! - A token's lease is as long as the token, even where the vendor gives it a longer life than was asked for, and its row
//!   outlives a revoked lease: an inventory that forgot a token which works would lie.
//! - A rotation's state is in the record that it changes: the new credential, and what becomes of the old one, are one write.
//!   What was made and is not in use has a row, so that a rotation that nobody goes on with ends as a mint does.
//! - A rotation is not the host's: its rotation manager is of one edition, and knows nothing of what was half done.
//! - A credential of ours that is not needed any more ends itself, when the last key that it made has gone.
//! - A library's key is taken while its row is there, and the key's record only points to the row: nothing has to be written
//!   when it comes back, and an old lease finds no row. The row says that it comes back before the vendor hears of it, so
//!   that a node that has lost the leadership switches off nobody's key.
//! - A key of a library that is on while nobody has it is switched off and lent to nobody: who switched it on may use it.
//! - A leased key that a static role has taken over keeps its row, which points to the role; the role's record decides.
//! - The value of a slot is known by a part of its digest, so that ending one never ends the next; and a slot is left alone
//!   as long as a request that was sent to it may still arrive.
//! - "Not there" counts for a key only where the vendor's words are about it, or its listing does not show it: a 404 is about
//!   a project as often.
//! - `tidy` judges a row only where two listings, both begun after the row was live for the vendor's lag, do not show its key.

pub mod base;
pub mod engine;
pub mod framework;
pub mod go_plugin;
pub mod logical;
pub mod providers;
pub mod schema;
pub mod vault;
