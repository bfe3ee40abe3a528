// The audit log: who decided what, when and by which rule. Append-only; each entry holds the hash
// of the one before it, so that a change of an old one is seen (audit_verify).
//
// An entry is one JSON object with sorted keys and no blanks (RFC 8785), its absent members left
// out; its hash is SHA-256 of "<previous hash>\n<object>" in hexadecimal, the first one's previous
// hash 64 zeros. So a line of JSONL is checked with `jq -cjS 'del(.hash)'`. Written inside the
// transaction of what it tells (store_group, or audit_add alone). Whoever may write the database
// can write a whole new chain: keep the head's hash (audit_verify) elsewhere as well.
#pragma once

#include "dispatcher/buf.h"
#include "dispatcher/store.h"

struct audit_entry {
    int64_t sequence, at_ms; // given by audit_add
    const char *kind;        // decision | deployment | lock | approval | session | settings | …
    const char *verdict;     // allow | deny | wait | done
    const char *code;        // reason_codes.def, or NULL
    const char *reason;      // sentence
    const char *request_id;
    const char *app, *env, *deployment, *version, *digest;
    const char *actor;                                                  // login
    int64_t actor_id, repository_id, run_id, run_attempt, check_run_id; // 0: none
    const char *jti, *token_hash; // SHA-256 of the token in base64, as GitHub's audit log has it
    const char *rule, *spec_commit, *floor_commit;
    const char *detail;          // JSON object of 64 KiB at most, or NULL
    const char *previous, *hash; // given by audit_add
};
/// ERROR_INPUT when `detail` is no such object.
NODISCARD struct error *audit_add(
    struct store *store, const struct audit_entry *entry, int64_t now_ms);

struct audit_filter {
    const char *kind, *verdict, *code, *app, *env, *actor, *deployment; // NULL: any
    int64_t repository_id;
    int64_t since_ms, until_ms; // 0: any
    int64_t before;             // sequence; 0: from the newest
    int64_t after;              // sequence; with oldest_first
    int limit;                  // 0: 100
    bool oldest_first;
};
NODISCARD struct error *audit_list(struct store *store, const struct audit_filter *filter,
    struct arena *arena, struct audit_entry **out, size_t *count);

struct audit_verdict {
    int64_t entries;   // that were read and fit
    int64_t broken_at; // sequence of the first that does not fit; 0: the chain is whole
    const char *why;
    const char *head; // hash of the newest that fits
};
/// Reads the whole chain, a thousand at a time.
NODISCARD struct error *audit_verify(
    struct store *store, struct arena *arena, struct audit_verdict *out);

/// One line of JSONL, as it is hashed plus "hash"; and of CSV (RFC 4180, with a header line).
void audit_jsonl(const struct audit_entry *entry, struct buf *out);
void audit_csv_header(struct buf *out);
void audit_csv(const struct audit_entry *entry, struct buf *out);
