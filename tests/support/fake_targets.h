// Targets of the test's own instead of AWS': a program that calls fake_targets_reset links with
// these in place of dispatcher/deploy/target_kinds.c.
//
//     fake_targets_reset(story->world);
//     fake_targets.runs = OLD_DIGEST;
//     ... deploy ...
//     story_expect_effects(s, "move web forward v2\n…");
#pragma once

#include "../../dispatcher/deploy/target_internal.h"
#include "deploy_world.h"

#define FAKE_OLD_DIGEST "sha256:1111111111111111111111111111111111111111111111111111111111111111"

struct fake_targets {
    struct world *world;
    // What is there; free to change.
    const char *version, *digest; // that runs before
    const char *ends;             // outcome of a move forward; NULL: succeeded
    const char *runs_after;       // digest after a move; NULL: what was asked for
    const char *under_way;        // id of a deployment that somebody else has begun; NULL: none
    enum error_kind unreadable;   // look fails; 0: it does not
    enum error_kind unprovable;   // prove fails; 0: it does not
    unsigned late;                // proofs that still see the digest before
    bool is_code;                 // nobody can say what runs
    // What happened.
    unsigned looks, proofs, records, moves;
};
extern struct fake_targets fake_targets;

void fake_targets_reset(struct world *world);
