// A flag that a signal handler may raise and every wait looks at.
//
// cancel_raise is async-signal-safe. cancel_fd becomes readable when raised, for poll().
#pragma once

#include <stdbool.h>

#include "dispatcher/error.h"

struct cancel;

struct cancel *cancel_new(void);
void cancel_free(struct cancel *cancel);
/// `signal` is the number that exit codes are made of (128 + signal).
void cancel_raise(struct cancel *cancel, int signal);
/// 0 while not raised; NULL is never raised.
int cancel_signal(const struct cancel *cancel);
int cancel_fd(const struct cancel *cancel);
/// Lowers the flag again: the front end does so once, to tidy up after the first signal.
void cancel_clear(struct cancel *cancel);
/// ERROR_CANCELLED when raised, else NULL.
NODISCARD struct error *cancel_check(const struct cancel *cancel);
