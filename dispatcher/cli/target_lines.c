// The lines about targets: what moves where, how far it is, how it ended.
#include "target_lines.h"

#include <string.h>

#include "dispatcher/str.h"

enum { SHOWN_MAX = 8 };

static bool
is_good(const struct deployment_move *move)
{
    return cstr_equal(move->outcome, "succeeded");
}

static const char *
words_of(const struct deployment_target *target, const struct deployment_move *move)
{
    bool back = move == &target->back;
    if (move->outcome != NULL) {
        bool idle = is_good(move) && cstr_equal(move->state, "nothing");
        return idle            ? (back ? "is back already" : "runs it already")
               : is_good(move) ? (back || move->halting ? "is back" : "rolled out")
                               : move->outcome;
    }
    if (move->hook != NULL) {
        return "waits for 'dispatcher continue'";
    }
    return move->rolling_back ? "is being rolled back" : back ? "going back" : "rolling out";
}

static void
put_what(
    const struct deployment_target *target, const struct deployment_move *move, struct buf *out)
{
    buf_printf(out, "%s: %s", target->name, words_of(target, move));
    if (move->outcome == NULL && move->progress != NULL) {
        buf_printf(out, ", %s", move->progress);
    }
    if (move->outcome == NULL && move->stage != NULL) {
        buf_printf(out, " (%s)", move->stage);
    } else if (move->outcome == NULL && move->progress == NULL && move->status != NULL) {
        buf_printf(out, " (%s)", move->status);
    }
    if (move->reason != NULL && !is_good(move)) {
        buf_printf(out, ": %s", move->reason);
    }
    if (target->proven && is_good(move) && target->running_digest != NULL) {
        buf_printf(out, ", proven: %.19s… runs", target->running_digest);
    }
}

void
target_line(
    const struct deployment_target *target, const struct deployment_move *move, struct buf *out)
{
    buf_puts(out, "  ");
    put_what(target, move, out);
    buf_putc(out, '\n');
}

static const char *
sign_of(const struct deployment_move *move, const char *spinner, bool color)
{
    if (move->outcome == NULL) {
        return move->state != NULL ? spinner : "·";
    }
    if (is_good(move)) {
        return color ? "\x1b[32m✓\x1b[0m" : "✓";
    }
    return color ? "\x1b[31m✗\x1b[0m" : "✗";
}

static const struct deployment_move *
move_at_hand(const struct deployment_target *target)
{
    return target->back.state != NULL || target->back.outcome != NULL ? &target->back
                                                                      : &target->forward;
}

void
target_area(const struct deployment *d, const char *spinner, bool color, struct buf *out)
{
    bool many = d->targets.count > SHOWN_MAX;
    size_t good = 0, waiting = 0, moving = 0;
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        const struct deployment_move *move = move_at_hand(target);
        if (many && is_good(move)) {
            good++;
        } else if (many && move->outcome == NULL && move->state == NULL) {
            waiting++;
        } else if (many && move->outcome == NULL && ++moving > SHOWN_MAX) {
            continue;
        } else {
            buf_printf(out, "    %s ", sign_of(move, spinner, color));
            put_what(target, move, out);
            buf_putc(out, '\n');
        }
    }
    if (moving > SHOWN_MAX) {
        buf_printf(out, "    and %zu more under way\n", moving - SHOWN_MAX);
    }
    if (many) {
        buf_printf(
            out, "    %zu of %zu are rolled out, %zu wait\n", good, d->targets.count, waiting);
    }
}
