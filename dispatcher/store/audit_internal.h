// Shared by the files of the audit log.
#pragma once

#include <stddef.h>

#include "dispatcher/audit.h"
#include "store_internal.h"

enum {
    AUDIT_FIELDS = 26,
    AUDIT_DETAIL_MAX = 64 * 1024,
    AUDIT_LINE_MAX = 1024 * 1024,
};
#define AUDIT_NO_HASH "0000000000000000000000000000000000000000000000000000000000000000"

enum audit_field_kind { AUDIT_TEXT, AUDIT_NUMBER, AUDIT_JSON, AUDIT_HASH };
struct audit_field {
    const char *name; // of the member, the key and the column
    enum audit_field_kind kind;
    size_t offset;
};
extern const struct audit_field audit_fields[AUDIT_FIELDS];
// The same, in the same order.
#define AUDIT_COLUMNS                                                                              \
    "actor, actor_id, app, at_ms, check_run_id, code, deployment, detail, digest, env,"            \
    " floor_commit, hash, jti, kind, previous, reason, repository_id, request_id, rule,"           \
    " run_attempt, run_id, sequence, spec_commit, token_hash, verdict, version"

const char *audit_text_of(const struct audit_entry *entry, const struct audit_field *field);
int64_t audit_number_of(const struct audit_entry *entry, const struct audit_field *field);
/// The entry that the query, a SELECT of AUDIT_COLUMNS, stands on.
struct audit_entry audit_read(struct query *query, struct arena *arena);

/// The object that is hashed; `with_hash`: the one that is exported.
void audit_object(const struct audit_entry *entry, bool with_hash, struct buf *out);
void audit_keep_hash(char to[65], const char *hash);
/// SHA-256 of "<previous>\n<object>".
NODISCARD struct error *audit_hash(const struct audit_entry *entry, char out[65]);
/// A JSON object with sorted keys and no blanks; ERROR_INPUT when it is none.
NODISCARD struct error *audit_canonical(const char *text, struct arena *arena, const char **out);
/// Is it one object, and nothing behind it? What is hashed holds it as it is.
bool audit_is_object(const char *text);
