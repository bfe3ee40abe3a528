// What a deployment in flight keeps beside its row in the journal: limits that count on this
// process's clock, and how far a step has come between two of its looks.
//
// Whoever drives a deployment has one for it and nobody else; without it (a new process) every wait
// begins anew, and the step at work asks the world first what an earlier process may have done. All
// zero is new. `mono` is the monotonic clock; 0: not yet.
#pragma once

#include "dispatcher/deployment.h"
#include "dispatcher/digest.h"

struct error;
struct one_off;
struct apprunner_memory;

// What the look at a moving target remembers (deployment.h, struct deployment_move).
struct pace_move {
    int64_t sought_mono_ms, failures;
    char *event;
};

// A write of a version parameter whose answer is looked into (step_write.c).
struct pace_put {
    struct error *error; // of the write that is looked into; NULL: none is
    int attempts, reads;
    bool in_doubt, is_refused, has_made_room;
    int64_t after; // versions up to this one are older than the write
};

// The search for the run of a dispatch (reconcile.c).
struct pace_search {
    int64_t end_mono_ms, pause_ms; // 0: not begun
    size_t readings, failures, lone;
};

struct deploy_pace {
    // The engine: which step was entered (ordinal + 1), and whether an earlier process had begun
    // it; how many steps are left to be taken back, and whether the next of them is under way.
    size_t step;
    bool resumed;
    bool undoing, undo_begun;
    size_t undo_left;
    bool undo_disturbed; // a signal has come while something was taken back
    // A step waits: when to come again.
    bool waits;
    int64_t until_ms;
    // Driven by deploy_advance: a signal means to put it down as it is.
    bool is_advanced;
    unsigned char written[SHA256_SIZE]; // of the journal's document
    bool is_fenced;                     // the journal says that somebody else has it now

    // The run that is followed: since when it is waited for, runs, is not shown.
    int64_t wait_mono_ms, running_mono_ms, missing_mono_ms;
    bool owes_cancel; // the run was not known yet when its end was asked for
    bool owes_look;   // there was news, and the look at it failed
    // The scan step at work; both as new for the next one.
    int64_t scan_mono_ms;
    bool scan_asked;
    // The rollout at work: since when it is followed, proven, and out of reach; taken back.
    int64_t rollout_mono_ms, prove_mono_ms, unseen_mono_ms, back_mono_ms;
    // The checks at work: since when, and how often all of them were asked.
    int64_t verify_mono_ms, verify_rounds;
    // The one-off task at work, in `arena`, and since when it is followed.
    struct one_off *one_off;
    int64_t one_off_mono_ms;

    // The dispatch: what is known of it while its run is looked for (reconcile.c), and until when
    // GitHub's rate limit may keep it waiting.
    struct pace_search search;
    struct error *cause; // what was seen of the POST
    int64_t limit_mono_ms;
    // The write of a parameter whose answer is looked into.
    struct pace_put put;
    int restores; // rounds of taking one back
    // How far the rollout is taken back.
    enum { BACK_NEW, BACK_STOPPING, BACK_MOVING } back;
    // After the proof: labels are set; which service without a worker is deleted, and until when.
    bool is_marked, orphan_asked;
    size_t orphan;
    int64_t orphan_mono_ms;

    struct apprunner_memory *apprunner; // NULL until it is needed
    struct pace_move *moves;            // two a target: forward, back
    size_t move_count;
    struct arena *arena; // NULL until it is needed
};

void deploy_pace_freep(struct deploy_pace **pace);
/// For what lives as long as the pace.
struct arena *pace_arena(struct deploy_pace *pace);
/// The write that was looked into is settled.
void pace_drop_put(struct deploy_pace *pace);
/// The search for a run is over.
void pace_drop_search(struct deploy_pace *pace);
/// An error came out: what was under way is looked into, as after a crash.
void pace_drop_step(struct deploy_pace *pace);
/// What the journal does not keep, between one loading of the deployment and the next.
void pace_give(const struct deploy_pace *pace, struct deployment *deployment);
void pace_take(struct deploy_pace *pace, const struct deployment *deployment);
