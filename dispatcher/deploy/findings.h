// What `doctor` and `verify` have found, as a list: one sentence each, and how to mend it.
#pragma once

#include "dispatcher/deploy.h"

enum { FINDINGS_MAX = 256 }; // more are dropped

struct findings {
    struct arena *arena;
    struct doctor_finding *list;
    size_t count;
};

void findings_init(struct findings *findings, struct arena *arena);
// Texts are borrowed for the life of the arena.
void findings_good(struct findings *findings, const char *area, const char *text);
void findings_warn(struct findings *findings, const char *area, const char *text, const char *fix);
/// `kind`: what a deployment would end with.
void findings_bad(struct findings *findings, const char *area, const char *text, const char *fix,
    enum error_kind kind);
/// Consumes `err`; true when there was none. An error is bad; its hint is the fix.
bool findings_passed(struct findings *findings, const char *area, struct error *err);
/// The same, but an error is a warning.
bool findings_noted(struct findings *findings, const char *area, struct error *err);
