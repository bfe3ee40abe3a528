// Locks of the five scopes: which of them touch an app in an environment, who passes, what is said
// of the others. A scope or a level that nobody knows holds: what was meant to hold must not
// vanish.
#include "policy_internal.h"

#include <string.h>

#include "dispatcher/memory.h"

enum { OWNERS_MAX = 10 };
enum level { LEVEL_LOCK, LEVEL_WARNING, LEVEL_FREEZE };

static enum level
level_of(const struct policy_lock *lock)
{
    return cstr_equal(lock->level, "warning")  ? LEVEL_WARNING
           : cstr_equal(lock->level, "freeze") ? LEVEL_FREEZE
                                               : LEVEL_LOCK;
}

static bool
touches(const struct policy_lock *lock, const struct settings *settings, int64_t now_ms)
{
    bool app = cstr_equal(lock->app, settings->app), env = cstr_equal(lock->env, settings->env);
    bool holds = lock->starts_ms <= now_ms && (lock->expires_ms == 0 || lock->expires_ms > now_ms);
    if (!holds) {
        return false;
    }
    if (cstr_equal(lock->scope, "environment")) {
        return env;
    }
    if (cstr_equal(lock->scope, "program")) {
        return cstr_equal(lock->program, settings->program);
    }
    if (cstr_equal(lock->scope, "app")) {
        return app;
    }
    return cstr_equal(lock->scope, "target") ? app && env : true;
}

static const char *
owner_of(struct arena *arena, const struct policy_lock *lock)
{
    return lock->owner != NULL ? policy_word(arena, lock->owner, POLICY_WORD_MAX) : "somebody";
}

static const char *
what_of(struct arena *arena, const struct policy_lock *lock, const struct settings *settings)
{
    if (cstr_equal(lock->scope, "environment")) {
        return arena_printf(arena, "'%s'", settings->env);
    }
    if (cstr_equal(lock->scope, "program")) {
        return arena_printf(arena, "program '%s'", settings->program);
    }
    if (cstr_equal(lock->scope, "app")) {
        return arena_printf(arena, "'%s'", settings->app);
    }
    return cstr_equal(lock->scope, "target")
               ? arena_printf(arena, "'%s' in '%s'", settings->app, settings->env)
               : "the organisation";
}

static const char *
describe(struct arena *arena, const struct policy_lock *lock, const struct settings *settings)
{
    bool freeze = level_of(lock) == LEVEL_FREEZE;
    return arena_printf(arena, "%s is %s by %s%s: %s", what_of(arena, lock, settings),
        freeze ? "frozen" : "locked", owner_of(arena, lock), policy_until(arena, lock->expires_ms),
        lock->reason != NULL ? policy_word(arena, lock->reason, POLICY_REASON_MAX)
                             : "no reason was given");
}

static void
warn(struct arena *arena, const struct policy_lock *lock, const struct settings *settings,
    struct policy_gate *out)
{
    policy_warn(arena, out,
        arena_printf(arena, "%s has a warning of %s%s: %s", what_of(arena, lock, settings),
            owner_of(arena, lock), policy_until(arena, lock->expires_ms),
            lock->reason != NULL ? policy_word(arena, lock->reason, POLICY_REASON_MAX)
                                 : "no reason was given"));
}

// The owner of a lock keeps others out, not themselves: not what they do by hand. What runs by
// itself under their name (their next push, a run of theirs that is run once more) is held like
// anybody's; else a rollback's lock would not keep its author's next merge from undoing it. A
// freeze is for everybody: who is in a hurry says so by the emergency path. True: it does not hold;
// what that means is a warning.
static bool
is_passed(struct arena *arena, const struct policy_lock *lock, const struct settings *settings,
    const struct policy_facts *facts, struct policy_gate *out)
{
    if (level_of(lock) == LEVEL_FREEZE && facts->emergency) {
        policy_warn(arena, out,
            arena_printf(arena, "the emergency passes: %s", describe(arena, lock, settings)));
        return true;
    }
    if (level_of(lock) == LEVEL_LOCK && !facts->automatic &&
        policy_same_name(lock->owner, facts->requester)) {
        policy_warn(arena, out,
            arena_printf(arena, "its own lock lets %s pass: %s", owner_of(arena, lock),
                describe(arena, lock, settings)));
        return true;
    }
    return false;
}

// Of all that hold: when the last of them ends, whose they are, and whether any drops what waited.
struct held {
    const struct policy_lock *first;
    size_t count;
    int64_t until_ms; // -1: one of them does not end by itself
    bool drops;
    struct str_list owners;
    size_t room;
};

static void
hold(struct held *held, const struct policy_lock *lock, struct arena *arena)
{
    const char *owner = owner_of(arena, lock);
    bool forever = lock->expires_ms == 0 || held->until_ms < 0, listed = false;
    for (size_t i = 0; i < held->owners.count; i++) {
        listed = listed || policy_same_name(held->owners.items[i], owner);
    }
    if (!listed) {
        policy_add(arena, &held->owners, &held->room, owner);
    }
    held->first = held->count == 0 ? lock : held->first;
    held->until_ms = forever                             ? -1
                     : lock->expires_ms > held->until_ms ? lock->expires_ms
                                                         : held->until_ms;
    held->drops = held->drops || cstr_equal(lock->on_release, "drop");
    held->count++;
}

static const char *
who_lifts(struct arena *arena, const struct held *held)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    for (size_t i = 0; i < held->owners.count && i < OWNERS_MAX; i++) {
        buf_printf(&text, "%s, ", held->owners.items[i]);
    }
    buf_puts(&text, "or an admin");
    return arena_dup(arena, buf_cstr(&text));
}

void
policy_gate_locks(const struct policy_facts *facts, const struct settings *settings, bool freeze,
    struct arena *arena, struct policy_gate *out)
{
    struct held held = {0};
    for (size_t i = 0; i < facts->lock_count; i++) {
        const struct policy_lock *lock = &facts->locks[i];
        enum level level = level_of(lock);
        if ((level == LEVEL_FREEZE) != freeze || !touches(lock, settings, facts->now_ms)) {
            continue;
        }
        if (level == LEVEL_WARNING) {
            warn(arena, lock, settings, out);
        } else if (!is_passed(arena, lock, settings, facts, out)) {
            hold(&held, lock, arena);
        }
    }
    if (held.count == 0) {
        return;
    }
    const char *more = held.count > 1 ? arena_printf(arena, ", and %zu more", held.count - 1) : "";
    out->answer = POLICY_WAIT;
    out->code = freeze ? REASON_FROZEN : REASON_LOCKED;
    out->sentence = arena_printf(arena, "%s%s", describe(arena, held.first, settings), more);
    out->who = who_lifts(arena, &held);
    out->until_ms = held.until_ms > 0 ? held.until_ms : 0;
    out->on_release = held.drops ? "will be dropped" : "will run";
}
