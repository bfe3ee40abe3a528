// How a deployment stands, as a word, a sentence and a colour: what every report and every route
// goes by. Decides nothing itself: results and exit codes are outcome.c's.
#include "notice_internal.h"

struct look {
    const char *text, *mark, *color;
};

// Slack's own palette: read on a light ground and on a dark one.
#define GREEN "#2eb67d"
#define BLUE "#36c5f0"
#define YELLOW "#ecb22e"
#define RED "#e01e5a"
#define GREY "#868686"

static const struct look looks[REPORT_OUTCOMES] = {
    [REPORT_STARTED] = {"under way", "🚀", BLUE},
    [REPORT_WAITING] = {"waiting for approval", "✋", YELLOW},
    [REPORT_DEPLOYED] = {"deployed", "✅", GREEN},
    [REPORT_ROLLED_BACK] = {"rolled back", "⏪", GREEN},
    [REPORT_FAILED] = {"failed, nothing was changed", "❌", RED},
    [REPORT_RESTORED] = {"failed, previous version restored", "❌", RED},
    [REPORT_NOT_RESTORED] = {"failed, previous version NOT restored", "🚨", RED},
    [REPORT_UNKNOWN] = {"unknown, it may have run", "❓", RED},
    [REPORT_TIMED_OUT] = {"still running, waiting ended", "⏳", YELLOW},
    [REPORT_INTERRUPTED] = {"interrupted", "🔌", YELLOW},
    [REPORT_CANCELLED] = {"cancelled", "🚫", GREY},
    [REPORT_SUPERSEDED] = {"cancelled or superseded by another run", "⏩", GREY},
};

// Does the run, or a target, stand still until a person says yes?
static bool
is_waiting(const struct deployment *d)
{
    bool waits = cstr_equal(d->run_status, "waiting");
    for (size_t i = 0; i < d->targets.count && !waits; i++) {
        const struct deployment_move *move = &deployment_target_at(d, i)->forward;
        waits = move->hook != NULL && move->outcome == NULL;
    }
    return waits;
}

static enum report_outcome
open_outcome(const struct deployment *d)
{
    if (cstr_equal(d->unfinished, "timeout")) {
        return REPORT_TIMED_OUT;
    }
    if (cstr_equal(d->unfinished, "interrupted")) {
        return REPORT_INTERRUPTED;
    }
    if (cstr_equal(d->unfinished, "unknown")) {
        return REPORT_UNKNOWN;
    }
    return is_waiting(d) ? REPORT_WAITING : REPORT_STARTED; // "triggered" goes on without us
}

// What was left changed, or may be, comes before why it ended.
enum report_outcome
report_outcome_of(const struct deployment *d)
{
    if (d->result == NULL) {
        return open_outcome(d);
    }
    if (cstr_equal(d->result, "deployed")) {
        return cstr_equal(d->verb, "rollback") ? REPORT_ROLLED_BACK : REPORT_DEPLOYED;
    }
    if (cstr_equal(d->result, "unknown") || d->exit_code == error_kind_exit_code(ERROR_UNKNOWN)) {
        return REPORT_UNKNOWN;
    }
    if (d->exit_code == error_kind_exit_code(ERROR_NOT_RESTORED)) {
        return REPORT_NOT_RESTORED;
    }
    if (cstr_equal(d->result, "cancelled")) {
        bool superseded = d->ending_kind == (int64_t)ERROR_SUPERSEDED + 1;
        return superseded ? REPORT_SUPERSEDED : REPORT_CANCELLED;
    }
    bool restored = d->exit_code == error_kind_exit_code(ERROR_RESTORED);
    return restored ? REPORT_RESTORED : REPORT_FAILED;
}

const char *
report_outcome_word(enum report_outcome outcome)
{
    return spec_outcomes[outcome];
}

const char *
report_outcome_text(enum report_outcome outcome)
{
    return looks[outcome].text;
}

bool
report_outcome_is_final(enum report_outcome outcome)
{
    return outcome != REPORT_STARTED && outcome != REPORT_WAITING;
}

bool
report_outcome_is_good(enum report_outcome outcome)
{
    return outcome == REPORT_DEPLOYED || outcome == REPORT_ROLLED_BACK;
}

bool
report_outcome_is_bad(enum report_outcome outcome)
{
    return outcome == REPORT_FAILED || outcome == REPORT_RESTORED ||
           outcome == REPORT_NOT_RESTORED || outcome == REPORT_UNKNOWN ||
           outcome == REPORT_TIMED_OUT;
}

const char *
report_outcome_mark(enum report_outcome outcome)
{
    return looks[outcome].mark;
}

const char *
report_outcome_color(enum report_outcome outcome)
{
    return looks[outcome].color;
}

const char *
report_link(const struct deployment *d)
{
    return d->run_url != NULL ? d->run_url : d->caller_url;
}

const struct deployment_step *
report_current_step(const struct deployment *d)
{
    const struct deployment_step *last = NULL;
    for (size_t i = 0; i < d->steps.count; i++) {
        const struct deployment_step *step = deployment_step_at(d, i);
        bool at_work = cstr_equal(step->state, "intent") || cstr_equal(step->state, "waiting") ||
                       cstr_equal(step->state, "undoing") || cstr_equal(step->state, "failed");
        if (at_work) { // steps go one after the other: a failed one was the last to move forward
            return step;
        }
        last = step->state != NULL && !cstr_equal(step->state, "skipped") ? step : last;
    }
    return last;
}

const char *
report_version(const struct deployment *d, struct arena *arena)
{
    return snapshot_is_commit(d->version) ? arena_printf(arena, "%.12s", d->version) : d->version;
}
