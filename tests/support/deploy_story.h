// A deployment story for tests: specs, an app checkout, a journal and a world, deployed in-process.
//
//     struct story *s CLEANUP(story_freep) = story_new();
//     s->world->life = failing;
//     story_deploy(s);
//     story_expect(s, 7, "failed", "…message…");
//     story_expect_effects(s, "put …\npost …\n");
//
// The app is 'shop', the environment 'staging', the version 'v2' over a deployed 'v1'. Each call
// opens a context of its own, as each command does. story_deploy_and_die forks.
#pragma once

#include "deploy_world.h"
#include "dispatcher/deploy_service.h"

#define STORY_PARAMETER "/shop/staging/web/version"
#define STORY_SECOND "/shop/staging/worker/version"
#define STORY_DIGEST "sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b"
#define STORY_RUN_URL "https://github.com/octo/infra/actions/runs/29020317001"
#define STORY_TOKEN "ghp_canarytokencanarytokencanary"
#define STORY_AWS_SECRET "canaryAwsSecretcanaryAwsSecretcanaryAws0"

struct story {
    struct world *world;
    struct fake_platform *fake;
    struct deploy_request request; // free to change
    const char *app_spec, *config; // texts of the documents; free to change
    bool live;
    const struct deploy_run_feed *feed; // NULL: none
    int64_t fence;                      // of the lease that story_advance has; 0: none
    const char *id; // of the deployment that is resumed, …; NULL: the newest of the journal

    struct git_fixture *own; // after story_own_checkout
    char *dir, *specs, *state_path;
    struct arena *arena;

    // What came out of the last call.
    struct error *err;
    struct deployment *d; // NULL when nothing could be loaded or prepared
    struct deploy_advanced advanced;
    struct buf events; // JSON lines
    struct buf text;
    char *diagnostics; // text, or ""
};

extern const char story_config[], story_spec[], story_spec_two[], story_workflow[];

struct story *story_new(void);
void story_free(struct story *story);
void story_freep(struct story **story);
/// Replaces or adds one NAME=VALUE of the environment; NULL value takes it out.
void story_env(struct story *story, const char *name, const char *value);

/// Full id of a revision of the app's checkout (three commits, v-tags none); in the arena.
const char *story_commit(struct story *story, const char *revision);
/// A checkout of the story's own that it may change: a clone of the usual one.
void story_own_checkout(struct story *story);
/// git in the story's own checkout.
void story_git(struct story *story, const char *const *arguments);

void story_prepare(struct story *story);
void story_deploy(struct story *story);
void story_resume(struct story *story);
/// Prepares and begins, as the service does; then one call of deploy_advance each.
void story_begin(struct story *story);
void story_advance(struct story *story, struct deploy_pace *pace);
void story_resolve(struct story *story, int64_t run_id);
void story_cancel(struct story *story);
/// Puts what `status` and `doctor` say into story->text, a line each.
void story_status(struct story *story);
void story_doctor(struct story *story);
struct deploy_drift_lane;
/// Looks at lanes for drift, whatever the documents on disk say.
void story_drift(struct story *story, struct deploy_drift_lane *lanes, size_t count);
/// A small OCI layout for --image: "oci:DIR"; in the arena.
const char *story_layout(struct story *story);
/// Deploys in a child that is killed at tick `at`; false when it came to its end before that.
bool story_deploy_and_die(struct story *story, int64_t at);
bool story_resume_and_die(struct story *story, int64_t at);
/// The newest one of the journal, in the arena; NULL when it holds none.
const char *story_newest(struct story *story);
/// Is there a deployment in the journal?
bool story_has_journal(struct story *story);
/// A new world and an empty journal, with the same documents and switches.
void story_restart(struct story *story);

void story_expect(
    const struct story *story, int exit_code, const char *result, const char *message);
void story_expect_open(
    const struct story *story, int exit_code, const char *unfinished, const char *message);
void story_expect_effects(const struct story *story, const char *effects);
/// The call was refused: kind, whole text, hint (NULL: any), and nothing was done anywhere.
void story_expect_refused(
    const struct story *story, enum error_kind kind, const char *text, const char *hint);
