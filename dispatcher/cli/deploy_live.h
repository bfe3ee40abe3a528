// The live area of a deployment on a terminal: the step of the moment, its upload, the remote run
// with its jobs and steps. Off where the stream is no terminal.
#pragma once

#include "cli_internal.h"
#include "dispatcher/deploy.h"
#include "push_layers.h"

struct deploy_live;

/// `layers` are those of the upload at hand; borrowed, and read under their lock.
struct deploy_live *deploy_live_new(struct cli *cli, bool on_stderr, struct push_layers *layers);
void deploy_live_free(struct deploy_live *live);
bool deploy_live_is_on(const struct deploy_live *live);
void deploy_live_event(struct deploy_live *live, const struct deploy_event *event);
