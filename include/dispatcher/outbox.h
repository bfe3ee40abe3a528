// The outbox: what is still to be told to whom, durable beside the journal and in the same file.
//
// A notice is written in the transaction of the state that it reports (store_save_telling), so no
// crash loses one. Its key makes writing it again harmless: an event is kept as it was first
// written; a card (`replaces`) takes the newer body, and is to be delivered again when that
// differs. Delivering is two steps: store_outbox_begin makes the attempt durable, then its end is
// recorded. One that is found begun belongs to a courier that died: the sink is asked before it is
// sent again.
//
// Notices that share a rate share a lane. A lane is worked on by one process at a time (claim it as
// "lane:NAME", store.h) and remembers until when it rests, and what is wrong with it.
#pragma once

#include "dispatcher/store.h"

struct store_notice {
    const char *key;        // unique: "d-3f9a…/deploys/card"
    const char *deployment; // id; need not be in the journal (a report by hand)
    const char *sink;       // its name in the spec
    const char *lane;       // "slack:#deploys"
    const char *kind;       // the courier's word for what `body` is: "slack-card"
    const char *target;     // JSON: how the sink is reached; references, never secrets
    const char *body;       // JSON
    const char *after;      // key of the notice that must be delivered before, or NULL
    int priority;           // higher goes first within a lane
    bool replaces;          // a card
    bool update_only;       // a card: never made by this, only brought up to date
    int64_t rest_ms;        // a card: how long after its last delivery the next one is due
};

enum store_notice_state {
    STORE_NOTICE_WAITING,
    STORE_NOTICE_BEGUN,   // an attempt was begun, its end is not known
    STORE_NOTICE_SENT,    // what it says now is delivered
    STORE_NOTICE_REFUSED, // the sink will never take it
};

struct store_outbox_row {
    struct store_notice notice;
    int64_t id, revision; // revision: of the body, from 1
    enum store_notice_state state;
    bool began; // an earlier attempt may have arrived
    int64_t attempts;
    const char *reference;       // JSON: what the sink called it ("channel", "ts"), or NULL
    const char *problem;         // of the last attempt, NULL when there was none
    const char *after_reference; // of the notice that it comes after, or NULL
    int64_t created_ms, begun_ms, sent_ms, due_ms; // wall; 0: never
};

struct store_lane {
    const char *name;
    int64_t rest_until_ms;      // wall; 0: free
    int64_t short_ms, long_ms;  // the courier's two rates (theoretical arrival times, wall)
    int64_t failures;           // in a row
    const char *problem, *hint; // NULL: all is well
    int64_t trouble_since_ms;
    const char *sink; // name of the sink that met it
};

/// store_insert and store_save (store.h) with notices in the same transaction.
NODISCARD struct error *store_insert_telling(struct store *store,
    const struct store_deployment *row, const struct store_notice *notices, size_t count,
    int64_t now_ms);
NODISCARD struct error *store_save_telling(struct store *store, const struct store_deployment *row,
    const struct store_step *step, const struct store_notice *notices, size_t count,
    int64_t now_ms);
/// Notices alone: a report by hand. With `again` what was delivered already is to be delivered once
/// more.
NODISCARD struct error *store_outbox_add(struct store *store, const struct store_notice *notices,
    size_t count, bool again, int64_t now_ms);

/// Names of the lanes that have something to deliver now, those longest at rest first.
NODISCARD struct error *store_outbox_lanes(
    struct store *store, int64_t now_ms, struct arena *arena, const char ***names, size_t *count);
/// The next notice of a lane: by priority, then in order of writing; one that was tried five times
/// stands back. *out NULL when none is due.
NODISCARD struct error *store_outbox_next(struct store *store, const char *lane, int64_t now_ms,
    struct arena *arena, struct store_outbox_row **out);
/// When the next notice of any lane is due (wall ms); INT64_MAX: none waits.
NODISCARD struct error *store_outbox_due(struct store *store, int64_t now_ms, int64_t *out_ms);

/// An attempt begins; the lane is saved with it.
NODISCARD struct error *store_outbox_begin(struct store *store, const struct store_outbox_row *row,
    const struct store_lane *lane, int64_t now_ms);

enum store_outbox_ending {
    STORE_OUTBOX_DELIVERED, // as of row->revision: a newer body keeps it waiting
    STORE_OUTBOX_FAILED,    // to be tried again
    STORE_OUTBOX_REFUSED,   // the sink will never take this body; a newer one of a card is tried
    STORE_OUTBOX_DETACHED,  // what it was to update is gone: the next attempt makes a new one
};
struct store_outbox_end {
    enum store_outbox_ending ending;
    const char *reference; // DELIVERED: JSON, NULL keeps what there was
    const char *problem;   // NULL when delivered
    bool in_doubt;         // FAILED: this attempt, or an earlier one, may have arrived
};
/// How the attempt ended; the lane is saved with it.
NODISCARD struct error *store_outbox_end(struct store *store, const struct store_outbox_row *row,
    const struct store_outbox_end *end, const struct store_lane *lane, int64_t now_ms);

/// *out all zero but for the name when it is new.
NODISCARD struct error *store_lane_get(
    struct store *store, const char *name, struct arena *arena, struct store_lane *out);
/// Those with a problem that still have something to deliver.
NODISCARD struct error *store_lanes_in_trouble(
    struct store *store, struct arena *arena, struct store_lane **lanes, size_t *count);

struct store_outbox_filter {
    const char *deployment, *sink, *lane; // NULL: any
    bool undelivered;                     // waiting, begun and refused only
    int limit;                            // 0: 1,000; oldest first
};
NODISCARD struct error *store_outbox_list(struct store *store,
    const struct store_outbox_filter *filter, struct arena *arena, struct store_outbox_row **rows,
    size_t *count);
/// Drops undelivered notices of a deployment (NULL: of all) and forgets the troubles of lanes that
/// nothing waits for; *count: how many.
NODISCARD struct error *store_outbox_discard(
    struct store *store, const char *deployment, size_t *count);
