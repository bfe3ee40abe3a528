// What a rollout's targets are doing, in lines: for logs and pipes one line a change, on a terminal
// the live area. Pure.
#pragma once

#include "dispatcher/deploy.h"

/// "  web: rolling out, 2 of 4 tasks run (BAKE_TIME)" and its end; nothing for what says no more
/// than the line before did.
void target_line(
    const struct deployment_target *target, const struct deployment_move *move, struct buf *out);
/// Every target that moves or has moved, one line each; many become a count. `spinner` starts the
/// line of one that moves.
void target_area(const struct deployment *d, const char *spinner, bool color, struct buf *out);
