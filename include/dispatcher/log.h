// Structured log lines: a message that never varies, and typed fields.
//
//     log_info(platform->log, "step started", F_STR("step", name), F_INT("attempt", n));
//
// base, net and the providers log at debug only; the engine and the front ends log the rest, so
// that nothing is said twice. The sink masks registered secrets. A NULL log drops everything.
// Thread-safe: one line is one write.
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "dispatcher/compiler.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

struct log;

struct log_field {
    const char *key; // NULL ends the list
    const char *text;
    int64_t number; // used when text is NULL
};

#define F_STR(key, value) ((struct log_field){(key), (value) != NULL ? (value) : "", 0})
#define F_INT(key, value) ((struct log_field){(key), NULL, (int64_t)(value)})

/// Writes to `stream` (not owned) whatever is at `level` or more important.
struct log *log_new(FILE *stream, enum log_level level, enum log_format format);
void log_free(struct log *log);
/// The fields end with F_END, which the macros below add.
void log_write(struct log *log, enum log_level level, const char *message, ...);

#define F_END ((struct log_field){NULL, NULL, 0})
#define log_error(log, ...) log_write((log), LOG_ERROR, __VA_ARGS__, F_END)
#define log_warn(log, ...) log_write((log), LOG_WARN, __VA_ARGS__, F_END)
#define log_info(log, ...) log_write((log), LOG_INFO, __VA_ARGS__, F_END)
#define log_debug(log, ...) log_write((log), LOG_DEBUG, __VA_ARGS__, F_END)
