// What is wrong with a document, where, and what was probably meant: all collected, then shown.
//
// A diagnostic is not an error: the command that collected errors fails with one `struct error`
// afterwards (diagnostics_error). Everything lives in the arena that the collection was made with.
#pragma once

#include "dispatcher/arena.h"
#include "dispatcher/buf.h"
#include "dispatcher/error.h"

enum diagnostic_severity { DIAGNOSTIC_ERROR, DIAGNOSTIC_WARNING, DIAGNOSTIC_NOTE };

struct source_span {
    unsigned line, column; // 1-based; 0 when the whole file is meant
    unsigned length;       // columns to underline, at least 1
};

struct diagnostic {
    enum diagnostic_severity severity;
    const char *rule; // stable id of diagnostic_rules.def: "unknown-key"
    const char *file;
    struct source_span span;
    const char *message; // lower case, no stop, subject quoted
    const char *help;    // "did you mean 'replicas'?", or NULL
    const char *source_line;
};

struct diagnostics;

struct diagnostics *diagnostics_new(void);
void diagnostics_free(struct diagnostics *list);
void diagnostics_freep(struct diagnostics **list);
/// `text` is the whole file, for the source line; may be empty. `rule` is borrowed (a literal);
/// everything else is copied, and foreign text in the message is made harmless.
void diagnostics_add(struct diagnostics *list, enum diagnostic_severity severity, const char *rule,
    const char *file, struct str text, struct source_span span, const char *help,
    const char *format, ...) PRINTF_LIKE(8, 9);
/// What a rule of diagnostic_rules.def means, in one sentence; NULL for an unknown id.
const char *diagnostic_rule_text(const char *rule);
/// Sorted by file, line, column; exact duplicates dropped.
void diagnostics_sort(struct diagnostics *list);
size_t diagnostics_count(const struct diagnostics *list, enum diagnostic_severity severity);
size_t diagnostics_total(const struct diagnostics *list);
const struct diagnostic *diagnostics_at(const struct diagnostics *list, size_t index);
/// Text with caret lines; `color` adds ANSI.
void diagnostics_print_text(const struct diagnostics *list, bool color, struct buf *out);
void diagnostics_print_json(const struct diagnostics *list, struct buf *out);   // one array
void diagnostics_print_github(const struct diagnostics *list, struct buf *out); // ::error file=…
void diagnostics_print_sarif(const struct diagnostics *list, struct buf *out);  // SARIF 2.1.0
/// NULL without errors, else one ERROR_SPEC: "appspecs/a.yaml: 2 errors, nothing was deployed".
NODISCARD struct error *diagnostics_error(const struct diagnostics *list);
